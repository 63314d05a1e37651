#![allow(clippy::unwrap_used)]

use super::*;

fn s3(change: impl FnOnce(&mut S3Config)) -> Vec<String> {
    let mut config = StoreConfig { kind: StoreKind::S3, ..StoreConfig::default() };
    config.s3.bucket = "documents".to_owned();
    change(&mut config.s3);
    config.problems().into_iter().map(|problem| problem.split(": ").next().unwrap().to_owned()).collect()
}

#[test]
fn defaults_are_a_directory_that_works() {
    assert_eq!(StoreConfig::default().problems(), Vec::<String>::new());
}

#[test]
fn s3_needs_a_bucket() {
    assert_eq!(s3(|s3| s3.bucket.clear()), ["s3.bucket"]);
    assert!(s3(|_| {}).is_empty());
}

#[test]
fn all_problems_are_reported_at_once() {
    let found = s3(|s3| {
        s3.bucket.clear();
        s3.prefix = "/leading".to_owned();
        s3.max_attempts = 0;
        s3.kms_key_id = Some("key".to_owned());
    });
    assert_eq!(found, ["s3.bucket", "s3.prefix", "s3.kms_key_id", "s3.max_attempts"]);
}

#[test]
fn clear_text_is_for_loopback_only() {
    for endpoint in [
        "http://127.0.0.1:5000",
        "http://localhost:9000/",
        "http://[::1]:1",
        "https://s3.example.org",
        "https://s3.example.org:9000/path",
    ] {
        assert!(s3(|s3| s3.endpoint = Some(endpoint.to_owned())).is_empty(), "{endpoint}");
    }
    for endpoint in [
        "http://s3.example.org",
        "http://127.0.0.1.example.org",
        "http://127.0.0.1@example.org",
        "http://localhost@example.org:80",
        "s3.example.org",
        "ftp://x",
        "https://",
        "http:///x",
    ] {
        assert_eq!(s3(|s3| s3.endpoint = Some(endpoint.to_owned())), ["s3.endpoint"], "{endpoint}");
    }
    assert!(
        s3(|s3| {
            s3.endpoint = Some("http://s3.example.org".to_owned());
            s3.allow_http = true;
        })
        .is_empty()
    );
}

#[test]
fn a_configuration_file_is_held_against_the_same_rules() {
    let text = "[store]\nkind = \"s3\"\n[store.s3]\nendpoint = \"http://s3.example.org\"\nmax_attempts = 0";
    let settings = precis_config::Settings::parse("precis.toml", text, []).unwrap();
    let error = settings.section::<StoreConfig>("store").unwrap_err().to_string();
    for at in ["store.s3.bucket", "store.s3.endpoint", "store.s3.max_attempts"] {
        assert!(error.contains(at), "{at} is not in: {error}");
    }
}

#[test]
fn broken_endpoints_are_survived_without_clear_text() {
    let endpoints =
        ["http://127.0.0.1:5000", "http://[::1]:1/path", "https://s3.example.org:9000/", "http://LOCALHOST?x#y"];
    precis_fuzz::survives("endpoint", &endpoints.map(|endpoint| endpoint.as_bytes().to_vec()), |bytes| {
        let url = String::from_utf8_lossy(bytes);
        if Endpoint::parse(&url) == Endpoint::HttpLoopback {
            let authority = url.split(['/', '?', '#']).nth(2).unwrap_or_default();
            assert!(!authority.contains('@'), "{url}");
        }
        if crate::store::check_key(&url).is_ok() {
            assert!(url.split('/').all(|segment| !segment.is_empty() && segment != ".."), "{url}");
        }
    });
}
