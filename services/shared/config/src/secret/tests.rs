#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use super::*;

/// A file of this name with this content, in this test's own folder.
fn file(name: &str, content: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("precis-secret-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    path
}

fn resolve(value: Option<&str>, file: Option<&Path>) -> Result<Option<String>, ConfigError> {
    let secret = Secret::resolve("API_KEY", value.map(str::to_owned), file)?;
    Ok(secret.map(|secret| secret.expose().to_owned()))
}

#[test]
fn the_variable_comes_before_the_file() {
    let path = file("both", "from-file\n");
    assert_eq!(resolve(Some("from-variable"), Some(&path)).unwrap(), Some("from-variable".to_owned()));
    assert_eq!(resolve(None, Some(&path)).unwrap(), Some("from-file".to_owned()));
    assert_eq!(resolve(None, None).unwrap(), None);
}

#[test]
fn an_empty_variable_is_none() {
    assert_eq!(resolve(Some(""), None).unwrap(), None);
    assert_eq!(resolve(Some(""), Some(&file("fallback", "key"))).unwrap(), Some("key".to_owned()));
}

#[test]
fn only_the_final_line_break_of_a_file_is_dropped() {
    assert_eq!(resolve(None, Some(&file("crlf", " key \r\n"))).unwrap(), Some(" key ".to_owned()));
}

#[test]
fn a_file_without_a_secret_is_an_error_that_says_what_to_do() {
    let error = resolve(None, Some(&file("empty", "\n"))).unwrap_err();
    assert_eq!(error.code(), "secret_unreadable");
    assert!(error.to_string().contains("empty") && error.to_string().contains("API_KEY"), "{error}");
    assert_eq!(resolve(None, Some(Path::new("/nowhere"))).unwrap_err().code(), "secret_unreadable");
}

#[test]
fn nothing_shows_it() {
    let secret = Secret::new("hunter2");
    assert_eq!(format!("{secret:?}"), "[redacted]");
    assert_eq!(serde_json::to_string(&secret).unwrap(), "\"[redacted]\"");
}
