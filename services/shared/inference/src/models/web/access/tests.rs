#![allow(clippy::unwrap_used)]

use super::*;

fn place(url: &str, token: Option<&'static str>) -> Place {
    Place { token: token.map(HeaderValue::from_static), ..Place::new(url).unwrap() }
}

#[test]
fn only_the_very_origin_gets_the_token() {
    let place = place("https://hub.example.org/a", Some("t"));
    let gets = |url: &str| place.token_for(&Url::parse(url).unwrap()).is_some();
    assert!(gets("https://hub.example.org/other") && gets("https://hub.example.org:443/other"));
    for url in [
        "https://cdn.example.org/a",
        "https://hub.example.org.evil.org/a",
        "https://hub.example.org:8443/a",
        "http://hub.example.org/a",
        "https://example.org/a",
    ] {
        assert!(!gets(url), "{url}");
    }
}

/// A server of the network may not lead a request to what listens on this machine.
#[test]
fn no_redirect_leads_from_the_network_to_this_machine() {
    let place = place("https://hub.example.org/a", None);
    let current = place.url.clone();
    let next = |location: &str| place.next(&current, location).map(|url| url.to_string());
    assert_eq!(next("/b?c").unwrap(), "https://hub.example.org/b?c");
    assert_eq!(next("//cdn.example.org/b").unwrap(), "https://cdn.example.org/b");
    for location in
        ["http://127.0.0.1/b", "https://localhost/b", "http://hub.example.org/b", "https://a:b@example.org/", "data:,x"]
    {
        let error = next(location).unwrap_err();
        assert!(error.contains("nothing protects"), "{location}: {error}");
    }
}

#[test]
fn a_hub_may_lie_below_a_path() {
    let access = Access { endpoint: Some("https://mirror.example.org/hf/".into()), token: None };
    let source = Source::from_short_form("hf:a/b/c d.gguf@main").unwrap();
    let url = access.place(&source).map(|place| place.url.to_string());
    assert_eq!(url.unwrap(), "https://mirror.example.org/hf/a/b/resolve/main/c%20d.gguf");
    let url = Access::default().place(&source).map(|place| place.url.to_string());
    assert_eq!(url.unwrap(), "https://huggingface.co/a/b/resolve/main/c%20d.gguf");
}
