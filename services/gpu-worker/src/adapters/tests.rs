#![allow(clippy::unwrap_used)]

use super::*;

fn register(folder: &std::path::Path, name: &str, digit: &str) {
    let entry = format!(
        "name = {name:?}\nformat = \"peft\"\nsha256 = \"{}\"\nbase = \"a-model\"\nbase_sha256 = \"{}\"\nrank = 4\nbytes = 64\nfile_bytes = 99\n",
        digit.repeat(64),
        "b".repeat(64)
    );
    std::fs::create_dir_all(folder.join("adapters")).unwrap();
    std::fs::write(folder.join("adapters").join(format!("{name}.toml")), entry).unwrap();
}

/// A new version is used at once, and the former stays known to answers that began with it.
#[test]
fn an_adapter_registered_anew_is_used_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let adapters = AdapterFolder::new(folder.path().to_owned());
    assert_eq!(adapters.id_of("legal").unwrap_err().code(), "unknown_adapter");
    register(folder.path(), "legal", "1");
    let first = adapters.id_of("legal").unwrap();
    assert_eq!(first, format!("legal@{}", "1".repeat(16)));
    register(folder.path(), "legal", "2");
    let second = adapters.id_of("legal").unwrap();
    assert_eq!(adapters.get(&second).unwrap().sha256, "2".repeat(64));
    assert_eq!(adapters.get(&first).unwrap().sha256, "1".repeat(64));
    assert_eq!(adapters.get("legal@3").unwrap_err().code(), "unknown_adapter");
}
