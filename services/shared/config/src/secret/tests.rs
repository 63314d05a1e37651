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
    let secret = Secret::resolve("API_KEY", value.map(OsString::from), file)?;
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

/// Editors end files with a line break. `VARIABLE=$(command)` or a secret store adds blanks around
/// the key.
#[test]
fn blanks_and_line_breaks_around_a_key_are_dropped() {
    for text in ["key\n", " key", "\tkey \r\n\n", "key\r"] {
        assert_eq!(resolve(Some(text), None).unwrap(), Some("key".to_owned()), "{text:?}");
        assert_eq!(resolve(None, Some(&file("blanks", text))).unwrap(), Some("key".to_owned()), "{text:?}");
    }
    assert_eq!(resolve(Some(" \n"), None).unwrap(), None);
}

#[test]
fn a_key_that_no_header_carries_is_refused_by_its_origin() {
    for (text, problem) in [("ke\ny", "several lines"), ("k\u{e9}y", "ASCII"), ("k\u{0}ey", "ASCII"), ("k\ty", "ASCII")]
    {
        let path = file("characters", text);
        for (error, origin) in [
            (resolve(Some(text), None).unwrap_err(), "the variable API_KEY".to_owned()),
            (resolve(None, Some(&path)).unwrap_err(), format!("the file {}", path.display())),
        ] {
            assert_eq!(error.code(), "secret_unusable");
            let told = error.to_string();
            assert!(told.contains(&origin) && told.contains(problem) && !told.contains(text), "{told}");
        }
    }
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_unicode_is_not_taken_for_none() {
    use std::os::unix::ffi::OsStringExt as _;
    let value = OsString::from_vec(b"k\xffy".to_vec());
    assert_eq!(Secret::resolve("API_KEY", Some(value), None).unwrap_err().code(), "secret_unusable");
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

/// A secret that the group or everybody can read is worth a warning; a mode that is the owner's
/// alone is not.
#[cfg(unix)]
#[test]
fn files_that_others_can_read_are_told() {
    use std::os::unix::fs::PermissionsExt as _;
    let path = file("modes", "key");
    for (mode, told) in [
        (0o600, None),
        (0o400, None),
        (0o640, Some("its group")),
        (0o644, Some("everybody on this machine")),
        (0o604, Some("everybody on this machine")),
    ] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(open_to(&path), told, "{mode:o}");
    }
    assert_eq!(open_to(Path::new("/nowhere")), None);
}
