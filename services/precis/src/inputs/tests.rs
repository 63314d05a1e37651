#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;

use super::*;

fn options(max_bytes: u64) -> ReadOptions {
    ReadOptions { max_bytes, ..ReadOptions::default() }
}

fn collect_from(paths: &[&Path], stdin: &str, options: &ReadOptions) -> Inputs {
    let paths: Vec<PathBuf> = paths.iter().map(|path| path.to_path_buf()).collect();
    collect(&paths, &mut stdin.as_bytes(), options)
}

fn codes(inputs: &Inputs) -> Vec<&str> {
    inputs.problems.iter().map(|problem| problem.code).collect()
}

#[test]
fn each_unusable_file_gets_its_own_code_and_the_others_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    at("a-good.txt", b"A text with words.");
    at("b-empty.txt", b" \n\t");
    at("c-binary.txt", b"\x7fELF\0\0\0");
    at("d-latin1.txt", b"caf\xe9");
    at("e-large.txt", "word ".repeat(50).as_bytes());
    at("f-good.md", "# Titre\n\nDéjà vu.".as_bytes());
    at("g-utf16.txt", b"h\0i\0");
    at("h-pdf.txt", b"%PDF-1.7 ...");
    at("i-zeros.txt", &[b"word ".repeat(4).as_slice(), b"\0"].concat());

    let inputs = collect_from(&[folder.path(), &folder.path().join("missing.txt")], "", &options(200));

    let names: Vec<_> = inputs.documents.iter().map(|document| document.stem.as_str()).collect();
    assert_eq!(names, ["a-good", "f-good"]);
    assert_eq!(
        codes(&inputs),
        ["empty", "binary", "not_utf8", "too_large", "not_utf8", "binary", "binary", "not_found"]
    );
    assert!(inputs.problems[2].message.contains("byte 3"), "{}", inputs.problems[2].message);
}

#[test]
fn a_document_of_exactly_the_limit_is_read() {
    let inputs = collect_from(&[Path::new("-")], "0123456789", &options(10));
    assert_eq!(inputs.documents.len(), 1);
    let inputs = collect_from(&[Path::new("-")], "0123456789a", &options(10));
    assert_eq!(codes(&inputs), ["too_large"]);
}

/// Folders are read to their full depth; hidden files and files with endings of other formats are
/// skipped.
#[test]
fn folders_are_read_whole_without_hidden_and_foreign_files() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("deep/er")).unwrap();
    fs::create_dir_all(folder.path().join(".git")).unwrap();
    fs::write(folder.path().join("deep/er/b.HTM"), "<p>Text</p>").unwrap();
    fs::write(folder.path().join("deep/a.txt"), "text").unwrap();
    fs::write(folder.path().join(".git/c.txt"), "text").unwrap();
    fs::write(folder.path().join("photo.jpeg"), "text").unwrap();

    let inputs = collect_from(&[folder.path()], "", &ReadOptions::default());

    assert_eq!(inputs.documents.iter().map(|document| document.stem.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!((inputs.skipped, inputs.problems.len()), (1, 0));
}

#[cfg(unix)]
#[test]
fn a_folder_that_links_to_itself_is_read_once() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.txt"), "text").unwrap();
    std::os::unix::fs::symlink(folder.path(), folder.path().join("again")).unwrap();
    assert_eq!(collect_from(&[folder.path()], "", &ReadOptions::default()).documents.len(), 1);
}

#[test]
fn a_folder_without_documents_is_a_problem() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(codes(&collect_from(&[folder.path()], "", &ReadOptions::default())), ["no_documents"]);
}

/// No sentence of the page is cut.
#[test]
fn a_page_becomes_its_text_without_markup_and_scripts() {
    let sentence = "A sentence that is longer than any terminal is wide, ".repeat(20);
    let page = format!(
        "<html><head><title>Name</title><script>var x = 1;</script><style>p {{}}</style></head><body>\
         <h1>Heading</h1><p>{sentence}<a href='https://example.org/'>with a link</a> &amp; caf&eacute;.</p>\
         <table><tr><td>left</td><td>right</td></tr></table><ul><li>one</li><li>two</li></ul></body></html>"
    );
    let inputs = collect_from(&[Path::new("-")], &page, &ReadOptions { stdin: Kind::Html, ..ReadOptions::default() });
    let text = &inputs.documents[0].text;
    assert!(text.contains(&format!("{sentence}with a link & café.")), "{text}");
    assert!(text.contains("Heading\n") && text.contains("left") && text.contains("- one\n- two"), "{text}");
    for absent in ["var x", "example.org", "<", "─", "p {"] {
        assert!(!text.contains(absent), "{absent} in {text}");
    }
}

#[test]
fn a_page_without_text_is_empty() {
    let options = ReadOptions { stdin: Kind::Html, ..ReadOptions::default() };
    assert_eq!(
        codes(&collect_from(&[Path::new("-")], "<html><body><img src='a.png'></body></html>", &options)),
        ["empty"]
    );
}

#[test]
fn json_lines_stand_each_for_themselves() {
    let lines = "{\"id\": \"c-1\", \"text\": \"First text.\", \"language\": \"en\"}\n\
                 \n\
                 not json\n\
                 {\"body\": \"no text\"}\n\
                 {\"text\": \"  \"}\n\
                 {\"id\": 7, \"text\": \"Last text.\"}";
    let options = ReadOptions { stdin: Kind::Jsonl, ..ReadOptions::default() };
    let inputs = collect_from(&[Path::new("-")], lines, &options);
    let ids: Vec<_> = inputs.documents.iter().map(|document| document.stated_id.as_deref()).collect();
    assert_eq!(ids, [Some("c-1"), Some("7")]);
    assert_eq!(inputs.documents[0].language.as_deref(), Some("en"));
    assert_eq!(codes(&inputs), ["not_json", "no_text_field", "empty"]);
    assert_eq!(inputs.problems[0].name, "stdin:3");
}

#[test]
fn the_text_field_can_be_named() {
    let options = ReadOptions { stdin: Kind::Jsonl, text_field: "body".into(), ..ReadOptions::default() };
    let inputs = collect_from(&[Path::new("-")], "{\"body\": \"A text.\"}", &options);
    assert_eq!(inputs.documents[0].stem, "stdin-1");
}

#[test]
fn a_byte_order_mark_is_not_part_of_the_text() {
    let inputs = collect_from(&[Path::new("-")], "\u{FEFF}Text.", &ReadOptions::default());
    assert_eq!(inputs.documents[0].text, "Text.");
}

/// A stream whose reader panics with what it read.
struct Panics;

impl Read for Panics {
    fn read(&mut self, _buffer: &mut [u8]) -> io::Result<usize> {
        panic!("a secret sentence of the document");
    }
}

#[test]
fn a_panic_of_any_reader_is_a_problem_of_its_input() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.txt"), "A text.").unwrap();
    for stdin in [Kind::Text, Kind::Html, Kind::Jsonl] {
        let paths = [PathBuf::from("-"), folder.path().to_owned()];
        let inputs = collect(&paths, &mut Panics, &ReadOptions { stdin, ..ReadOptions::default() });
        assert_eq!((codes(&inputs), inputs.documents.len()), (vec!["reader_panicked"], 1));
        let Problem { name, message, .. } = &inputs.problems[0];
        assert!(name == "stdin" && message.contains("tests.rs:") && !message.contains("secret"), "{message}");
    }
}

/// What Rust prints by itself quotes the document. Seen from outside, by this test as another
/// process.
#[test]
fn a_panic_of_a_reader_prints_nothing() {
    let this = std::env::current_exe().unwrap();
    let arguments = ["--exact", "inputs::tests::a_panic_of_any_reader_is_a_problem_of_its_input", "--nocapture"];
    let output = std::process::Command::new(this).args(arguments).output().unwrap();
    let printed = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(printed.contains("1 passed") && !printed.contains("secret"), "{printed}");
}

#[test]
fn what_is_left_out_of_texts_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let picture = format!("data:image/png;base64,{}", "QUJD".repeat(150));
    fs::write(folder.path().join("a.md"), format!("# Ship\n\n![A ship in port]({picture})\n")).unwrap();
    fs::write(folder.path().join("b.txt"), "\x1b[31mA\x08A red\x1b[0m line").unwrap();
    fs::write(folder.path().join("c.md"), format!("![]({picture})")).unwrap();
    let inputs = collect_from(&[folder.path()], "", &options(100));
    let texts: Vec<_> = inputs.documents.iter().map(|document| document.text.as_str()).collect();
    assert_eq!(texts, ["# Ship\n\nA ship in port\n", "A red line"]);
    assert_eq!((inputs.notes.count(Note::Images), inputs.notes.count(Note::Controls)), (1, 1));
    assert_eq!(codes(&inputs), ["empty"]);
}

/// In folders JSON is mostly settings and what `--out` wrote.
#[test]
fn json_files_are_records_where_they_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.json");
    fs::write(&path, "[{\"id\": \"a\", \"text\": \"A text.\"}, {\"text\": \"Another.\"}]").unwrap();
    let inputs = collect_from(&[&path], "", &ReadOptions::default());
    assert_eq!(inputs.documents.iter().map(|document| document.stem.as_str()).collect::<Vec<_>>(), ["a", "all-2"]);
    assert_eq!(collect_from(&[folder.path()], "", &ReadOptions::default()).skipped, 1);
}

/// A page of our own: what is found from it is kept in the repository.
const PAGE: &str = "<!doctype html><html lang=en><head><title>Harbour</title><style>p { color: red }</style></head><body><h1>The harbour</h1>\
    <p>It opened in <b>May</b> &amp; closed in <i>J&uuml;ly</i>&#46;<br><a href='x'>More</a> <img alt='A ship' src=s></p>\
    <ul><li>one<li>two<ol start=3><li>three</ol></ul><table><tr><th colspan=2>Name<td>Tons</table><pre> a\n  b</pre>\
    <blockquote>said <code>x &lt; y</code></blockquote><dl><dt>Term<dd>What it means</dl><script>if (a < b) {}</script><!-- -->";

/// Nested deeply too: a reader that calls itself for each level would run out of stack.
#[test]
fn readers_survive_broken_and_deep_files() {
    let lines =
        "{\"id\": \"a\", \"title\": \"T\", \"language\": \"en\", \"text\": \"A text.\\u00e9\"}\n\n{\"text\": \"b\"}";
    for (kind, name, valid) in [
        (Kind::Html, "html", PAGE),
        (Kind::Jsonl, "jsonl", lines),
        (Kind::Json, "json", "[{\"id\": 1e2, \"text\": \"A \\ud83d text.\"},\n{\"text\": NaN}]"),
        (
            Kind::Text,
            "text",
            "A text.\r\n\u{feff}é \u{1b}[1mB\u{8}B ![A ship](data:image/png;base64,QUJD=) [a]: data:b",
        ),
    ] {
        let options = ReadOptions { stdin: kind, ..ReadOptions::default() };
        let read = move |bytes: &[u8]| {
            let inputs = collect(&[PathBuf::from("-")], &mut &*bytes, &options);
            assert!(inputs.documents.iter().all(|document| !document.text.trim().is_empty()));
            assert!(!codes(&inputs).contains(&isolate::CODE), "{:?}", inputs.problems);
        };
        for deep in ["<div>", "<table><tr><td>", "<ul><li>", "<b>", "[", "{\"text\":"] {
            read(deep.repeat(1_000).as_bytes());
        }
        precis_fuzz::survives(name, &[valid.as_bytes().to_vec()], read);
    }
}

/// Reads a file of each shape; `bytes` is more than what the reader holds at most of something.
fn reads_in_linear_time(name: &str, kind: Kind, bytes: usize, shapes: &[precis_fuzz::Shape]) {
    let options = ReadOptions { stdin: kind, ..ReadOptions::default() };
    precis_fuzz::grows_linearly(name, bytes, shapes, |text| {
        let inputs = collect(&[PathBuf::from("-")], &mut text.as_bytes(), &options);
        assert!(!codes(&inputs).contains(&isolate::CODE), "{:?}", inputs.problems);
    });
}

#[test]
fn pages_are_read_in_linear_time_whatever_their_shape() {
    reads_in_linear_time("html", Kind::Html, 12 * 1024, precis_fuzz::shapes::PAGES);
}

#[test]
fn files_are_read_in_linear_time_whatever_their_shape() {
    use precis_fuzz::shapes::{FILES, RECORDS, TEXTS};

    reads_in_linear_time("text", Kind::Text, 2048, TEXTS);
    reads_in_linear_time("text of terminals", Kind::Text, 4096, FILES);
    reads_in_linear_time("json lines", Kind::Jsonl, 4096, RECORDS);
    reads_in_linear_time("json", Kind::Json, 4096, RECORDS);
    // Lines of another encoding: each is told with a guess at what it is.
    let options = ReadOptions { stdin: Kind::Jsonl, ..ReadOptions::default() };
    let lines = precis_fuzz::Shape { name: "lines", text: |bytes| "x".repeat(bytes) };
    precis_fuzz::grows_linearly("lines of latin-1", 4096, &[lines], |text| {
        let bytes = b"{\xe9}\n".repeat(text.len() / 4);
        let _ = collect(&[PathBuf::from("-")], &mut &*bytes, &options);
    });
}

#[test]
fn results_are_told_from_documents_by_what_they_hold() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    };
    let page = format!("{SUMMARIES_MARK}\n\n# Summaries\n\n1 document\n");
    at("out/summaries.md", &page);
    at("older/Summaries.md", "# Summaries\n\n30 documents: 15 answered");
    at("mine/summaries.md", "# Summaries\n\nOf the meetings of May.");
    at("mine/copy.md", &page);
    let result = r#"{"document": "a", "document_id": "a-1", "revision": 0, "tenant": "local", "outcome": "answered", "from_store": true}"#;
    let (result, other) = (at("a-1.json", result), at("b.json", r#"{"text": "A record of another program."}"#));

    let inputs = collect_from(&[folder.path(), &result, &other], "", &ReadOptions::default());

    let stems: Vec<_> = inputs.documents.iter().map(|document| document.stem.as_str()).collect();
    assert_eq!(stems, ["copy", "summaries", "b"]);
    assert_eq!((inputs.results.len(), inputs.problems.len()), (3, 0));
    let alone = collect_from(&[&result], "", &ReadOptions::default());
    assert_eq!(codes(&alone), ["own_result"]);
}
