use super::without;

/// Enough base64 that it can be no word.
fn base64(bytes: usize) -> String {
    "iVBORw0KGgo/+AAA".repeat(bytes / 16 + 1)
}

fn picture() -> String {
    format!("data:image/png;base64,{}=", base64(400))
}

fn read(text: &str) -> String {
    without(text).unwrap_or_else(|| text.to_owned())
}

#[test]
fn pictures_become_their_alternative_texts() {
    let uri = picture();
    let wrapped = uri.as_bytes().chunks(76).map(|line| String::from_utf8_lossy(line).into_owned()).collect::<Vec<_>>();
    let wrapped = wrapped.join("\n");
    for (raw, text) in [
        (format!("a ![A ship]({uri}) b"), "a A ship b"),
        (format!("a ![]({uri}) b"), "a  b"),
        (format!("a ![A [big] ship](<{uri}> \"Title\") b"), "a A [big] ship b"),
        (format!("a ![Ship]({uri} 'in port'){{width=\"3in\" height=\"2in\"}} b"), "a Ship b"),
        (format!("a [![Ship]({uri})](https://example.org) b"), "a [Ship](https://example.org) b"),
        (format!("a <img src=\"{uri}\" alt=\"A ship\" /> b"), "a A ship b"),
        (format!("a <IMG ALT='A ship' width=3 SRC='{uri}'> b"), "a A ship b"),
        (format!("a <img src={uri}> b"), "a  b"),
        (format!("a <img alt='A ship' src=\"{wrapped}\"> b"), "a A ship b"),
        (format!("a <source srcset=\"{uri}\"> b"), "a <source srcset=\"\"> b"),
        (format!("a {uri} b"), "a  b"),
        (format!("a\n{wrapped}\nb"), "a\n\nb"),
        (format!("a url({uri}) b"), "a url() b"),
        (format!("a ![Ship][one] ![two][] b\n\n[One]: {uri}\n  [two]: <{uri}> \"T\"\nc"), "a Ship two b\n\nc"),
        (format!("a ![][image1]\n\n[image1]: <{uri}>"), "a \n\n"),
        ("a ![Ship](data:image/png;base64...) b".to_owned(), "a Ship b"),
        ("a ![Dot](data:image/gif;base64,R0lGODlhAQ==) b".to_owned(), "a Dot b"),
        ("a <img src=\"data:image/svg+xml;utf8,<svg x='1'><p>q</p></svg>\" alt=\"Map\"> b".to_owned(), "a Map b"),
        ("a ![Map](data:image/svg+xml,%3Csvg%20x=(1)%3E) b".to_owned(), "a Map b"),
    ] {
        assert_eq!(read(&raw), text, "{raw}");
    }
}

#[test]
fn text_about_data_uris_stays() {
    for text in [
        "The form data:text/plain,hello is a data URI; data: alone is none.",
        "Our data:image quality, and metadata:image/png;base64,short.",
        "![a](https://example.org/data:1) and [data]: see below",
        "Data: 12, 13 and 14; time 12:30.",
        "![label][other]",
    ] {
        assert_eq!(without(text), None, "{text}");
    }
}

#[test]
fn a_word_after_wrapped_base64_stays() {
    let line = base64(60);
    let text = format!("data:image/png;base64,{}\n{}\nIntroduction\nText.", &line[..64], &line[..64]);
    assert_eq!(read(&text), "\nIntroduction\nText.");
}

/// A reader that looks for the ends of these to the end of the text takes the square of its length,
/// which is hours here.
#[test]
fn hostile_texts_take_one_pass() {
    for piece in [
        "data:image/png;base64,A ",
        "![](data:",
        "\"data:image/svg+xml,a ",
        "<img src=\"data:image/png;base64,A\" ",
        "[[[[",
        "](data:image/png;base64,A",
        "data:a/b;base64,",
    ] {
        let text = piece.repeat(20_000);
        assert!(read(&text).len() <= text.len());
    }
}
