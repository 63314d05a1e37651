use super::*;

fn short(text: &str) -> Option<String> {
    Source::from_short_form(text).map(|source| source.to_string())
}

#[test]
fn the_short_form_names_repository_file_and_revision() {
    let whole = "hf:Qwen/Qwen3-4B-GGUF/Qwen3-4B-Q4_K_M.gguf@bc640142c66e1fdd12af0bd68f40445458f3869b";
    assert_eq!(short(whole).as_deref(), Some(whole));
    assert_eq!(short("hf:a/b/deep/c.gguf").as_deref(), Some("hf:a/b/deep/c.gguf@main"));
    assert_eq!(short("hf:a/b/c.gguf@refs/pr/1").as_deref(), Some("hf:a/b/c.gguf@refs/pr/1"));
}

/// Texts that would become another path of the server, another server or another query.
#[test]
fn a_short_form_that_climbs_or_splits_is_refused() {
    for text in [
        "a/b/c.gguf",
        "hf:",
        "hf:a/b",
        "hf:a//c.gguf",
        "hf:../b/c.gguf",
        "hf:a/../c.gguf",
        "hf:a/b/../../c.gguf",
        "hf:a/b/c.gguf@",
        "hf:a/b/c.gguf@../main",
        "hf:a/b/c.gguf@main/..",
        "hf:a/b/c.gguf@main?x",
        "hf:a@host/b/c.gguf",
        "hf:a/b?x/c.gguf",
        "hf:a/b/c\n.gguf",
    ] {
        assert_eq!(short(text), None, "{text}");
    }
}

#[test]
fn an_address_is_over_tls_except_on_this_machine() {
    for url in
        ["https://example.org/m.gguf", "https://example.org:8443/m?sig=1", "http://127.0.0.1:1/m", "http://[::1]/m"]
    {
        assert_eq!(Source::Https { url: url.to_owned() }.problems(), Vec::<&str>::new(), "{url}");
    }
    for url in [
        "http://example.org/m",
        "https://user:word@example.org/m",
        "ftp://example.org/m",
        "file:///etc/passwd",
        "/m",
        "",
    ] {
        assert_eq!(Source::Https { url: url.to_owned() }.problems().len(), 1, "{url}");
    }
}

/// A signed address holds what lets others fetch the file.
#[test]
fn messages_hold_no_query_of_an_address() {
    let source = Source::Https { url: "https://example.org/m.gguf?token=secret#x".into() };
    assert_eq!(source.to_string(), "https://example.org/m.gguf");
}

#[test]
fn wheels_that_are_joined_are_held_to_the_same_grammar() {
    let part = WheelPart {
        package: "a-part1".into(),
        version: "1.0".into(),
        sha256: "0".repeat(64),
        member: "a/part01.bin".into(),
    };
    let problems = |parts: Vec<WheelPart>| Source::PypiWheels { parts }.problems().len();
    assert_eq!(problems(vec![part.clone(), part.clone()]), 0);
    assert_eq!(problems(Vec::new()), 1);
    assert_eq!(problems(vec![part.clone(); MAX_WHEELS + 1]), 1);
    for bad in [
        WheelPart { package: "a @ file:///tmp/evil".into(), ..part.clone() },
        WheelPart { version: "1.0 --no-binary :all:".into(), ..part.clone() },
        WheelPart { sha256: String::new(), ..part.clone() },
        WheelPart { member: "../part01.bin".into(), ..part.clone() },
    ] {
        assert_eq!(problems(vec![part.clone(), bad]), 1);
    }
}
