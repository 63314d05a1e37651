//! README's configuration reference is what the types say. After a change of a setting:
//! `UPDATE_README=1 cargo test -p precis --test readme`.
#![allow(clippy::unwrap_used)]

use std::{fs, path::Path, process::Command};

const BEGIN: &str = "<!-- reference: begin -->\n";
const END: &str = "<!-- reference: end -->";

#[test]
fn the_configuration_reference_is_generated_from_the_types() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let readme = fs::read_to_string(&path).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_precis")).args(["config", "reference"]).output().unwrap();
    assert!(output.status.success());
    let reference = format!("\n{}\n", String::from_utf8(output.stdout).unwrap().trim());
    let begin = readme.find(BEGIN).unwrap() + BEGIN.len();
    let end = readme.find(END).unwrap();
    if std::env::var_os("UPDATE_README").is_some() {
        fs::write(&path, format!("{}{reference}\n{}", &readme[..begin], &readme[end..])).unwrap();
        return;
    }
    assert_eq!(readme[begin..end].trim(), reference.trim(), "run UPDATE_README=1 cargo test -p precis --test readme");
}
