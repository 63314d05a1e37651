use super::*;

fn attributes(count: usize) -> String {
    (0..count).map(|number| format!(" a{number}='>'")).collect()
}

#[test]
fn a_tag_ends_where_the_standard_ends_it() {
    for tag in [
        "<p>",
        "</p>",
        "<p/>",
        "<p a>",
        "<p a=b>",
        "<p a='>'>",
        "<p a=\">\" b>",
        "<p a = '>' b>",
        "<p =>'>",
        "<p a=>",
        "<p/a/='>",
        "<p a='b'c>",
        "<p a=b'c>",
        "<p\n\t a\n=\n'>'>",
        "<p a=/>",
        "</p a='>'>",
    ] {
        let length = if tag == "<p =>'>" { "<p =>".len() } else { tag.len() };
        let scanned = Tag::scan(format!("{tag}text> ' \" >").as_bytes());
        assert_eq!(scanned, Tag { length, cut: None }, "{tag}");
    }
    for open in ["<p", "<p a", "<p a=", "<p a='>", "<p a='>' ", "<p /"] {
        assert_eq!(Tag::scan(open.as_bytes()), Tag { length: open.len(), cut: None }, "{open}");
    }
}

#[test]
fn attributes_over_the_limit_are_cut() {
    let kept = format!("<p{} ", attributes(MAX_ATTRIBUTES));
    let tag = format!("<p{}>", attributes(10 * MAX_ATTRIBUTES));
    assert_eq!(Tag::scan(tag.as_bytes()), Tag { length: tag.len(), cut: Some(kept.len()) });
    let tag = format!("<p{}>", attributes(MAX_ATTRIBUTES));
    assert_eq!(Tag::scan(tag.as_bytes()), Tag { length: tag.len(), cut: None });
}

/// What the feed takes for text and the tokenizer for a tag would be a tag that is not cut: the
/// guard asserts that none is.
#[test]
fn tags_behind_raw_text_are_cut_as_well() {
    let attributes = attributes(2 * MAX_ATTRIBUTES);
    for raw in [
        "<script>a</script",
        "<script>a</SCRIPT",
        "<script>a</scripts",
        "<script><!--<script></script",
        "<script><!--<script></script></script",
        "<title>a</title",
        "<style>a</script",
        "<textarea>a</textarea",
        "<plaintext></plaintext",
        "<!-- <p>",
        "<!doctype '>'",
        "<svg><title><p",
        "<svg><![CDATA[",
        "<svg><![CDATA[]]>",
        "<a/b='",
        "</ a='>",
        "</",
        "<",
    ] {
        for page in [
            format!("{raw} x=\"</script></title></style></textarea><p{attributes}>\">"),
            format!("{raw}<p{attributes}><![CDATA[<p{attributes}>]]><!--<p{attributes}>--><p{attributes}>"),
            format!("{raw} {attributes}>"),
        ] {
            assert!(parse(&page, UNLIMITED).is_ok(), "{raw}");
        }
    }
}

const UNLIMITED: Limits = Limits { nodes: usize::MAX, steps: u64::MAX, text_bytes: u64::MAX };
