#![allow(clippy::unwrap_used)]

use super::*;
use crate::provider::Anthropic;

#[test]
fn documents_leave_in_clear_text_for_loopback_only() {
    for url in [
        "https://api.anthropic.com",
        "https://example.org:8443/v1",
        "http://127.0.0.1:8000/v1",
        "http://localhost",
        "http://[::1]:1",
    ] {
        assert!(check_url(url).is_ok(), "{url}");
    }
    for url in
        ["http://example.org", "http://10.0.0.1:8000", "http://localhost.example.org", "http://127.0.0.1.example.org"]
    {
        assert_eq!(check_url(url), Err(UrlError::ClearText), "{url}");
    }
    for url in [
        "",
        "api.anthropic.com",
        "ftp://example.org",
        "https://user@example.org",
        "http://127.0.0.1@example.org",
        "https://example.org?x=1",
        "file:///etc",
    ] {
        assert_eq!(check_url(url), Err(UrlError::Invalid), "{url}");
    }
}

fn provider(base_url: &str, key: &str) -> Result<HttpProvider<Anthropic>, UrlError> {
    let settings = HttpSettings {
        base_url: base_url.to_owned(),
        key: Some(Secret::new(key)),
        connect_timeout: Duration::from_secs(1),
        first_byte_timeout: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
    };
    HttpProvider::new(Anthropic, &settings)
}

#[test]
fn the_wires_path_is_put_after_the_base_urls() {
    assert_eq!(provider("https://example.org", "k").unwrap().url.as_str(), "https://example.org/v1/messages");
    assert_eq!(
        provider("https://example.org/proxy/", "k").unwrap().url.as_str(),
        "https://example.org/proxy/v1/messages"
    );
}

#[test]
fn a_key_is_in_no_debug_output_and_must_fit_a_header() {
    let provider = provider("https://example.org", "sk-very-secret");
    assert!(!format!("{provider:?}").contains("very-secret"));
    let error = super::tests::provider("https://example.org", "sk-very-\nsecret").unwrap_err();
    assert!(matches!(&error, UrlError::Unusable(detail) if !detail.contains("secret")), "{error}");
}

/// A settlement on the ledger has the name: it must be bounded, and no text.
#[test]
fn the_name_of_a_request_is_kept_only_if_short_and_plain() {
    let kept = |text: &str| request_id(&HeaderValue::from_str(text).unwrap());
    assert_eq!(kept(&"x".repeat(128)).map(|id| id.len()), Some(128));
    for refused in ["x".repeat(129), "x".repeat(100_000), String::new(), "the board met".to_owned()] {
        assert_eq!(kept(&refused), None);
    }
}
