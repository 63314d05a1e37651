#![allow(clippy::unwrap_used)]

use candle_core::quantized::gguf_file::{Value, write};

use super::*;

/// A GGUF file without tensors.
fn gguf_file(folder: &Path, name: &str, metadata: &[(&str, Value)]) -> PathBuf {
    let path = folder.join(name);
    let metadata: Vec<(&str, &Value)> = metadata.iter().map(|(key, value)| (*key, value)).collect();
    write(&mut fs::File::create(&path).unwrap(), &metadata, &[]).unwrap();
    path
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn mistral(folder: &Path) -> PathBuf {
    let metadata = [
        ("general.architecture", text("llama")),
        ("general.name", text("Mistral 7B Instruct v0.3")),
        ("general.license", text("apache-2.0")),
        ("general.file_type", Value::U32(15)),
        ("llama.context_length", Value::U32(32_768)),
    ];
    gguf_file(folder, "Mistral 7B (ours).gguf", &metadata)
}

#[test]
fn an_entry_is_made_of_what_the_files_header_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = mistral(folder.path());
    let entry = describe(&path, None).unwrap();
    let bytes = fs::read(&path).unwrap();
    assert_eq!(
        (entry.name.as_str(), entry.family.as_str(), entry.file.as_str()),
        ("mistral-7b--ours-", "mistral", "Mistral-7B--ours-.gguf")
    );
    assert_eq!((entry.licence.as_str(), entry.quantisation.as_str(), entry.context), ("Apache-2.0", "Q4_K_M", 32_768));
    assert_eq!((&entry.sha256, entry.bytes), (&precis_base::digest::sha256_hex(&bytes), Some(bytes.len() as u64)));
    assert!(entry.sha256.starts_with(&entry.revision) && !entry.tested);
    assert_eq!(describe(&path, Some("mine")).unwrap().name, "mine");
}

#[test]
fn what_cannot_be_an_entry_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = mistral(folder.path());
    assert_eq!(describe(&path, Some("../climbs")).unwrap_err().code(), "bad_manifest");
    let rwkv = gguf_file(folder.path(), "r.gguf", &[("general.architecture", text("rwkv"))]);
    let error = describe(&rwkv, None).unwrap_err();
    assert!(error.code() == "unsupported_architecture" && error.to_string().contains("rwkv"), "{error}");
    let bare = gguf_file(folder.path(), "b.gguf", &[("general.architecture", text("qwen2"))]);
    let error = describe(&bare, None).unwrap_err().to_string();
    assert!(error.contains("b.gguf") && error.contains("qwen2.context_length"), "{error}");
    for (key, value, told) in [("split.count", Value::U16(3), "3 parts"), ("general.type", text("adapter"), "no model")]
    {
        let part = gguf_file(folder.path(), "p.gguf", &[("general.architecture", text("qwen2")), (key, value)]);
        let error = describe(&part, None).unwrap_err();
        assert!(error.code() == "bad_model" && error.to_string().contains(told), "{error}");
    }
    fs::write(folder.path().join("no.gguf"), "no model").unwrap();
    assert_eq!(describe(&folder.path().join("no.gguf"), None).unwrap_err().code(), "bad_model");
    assert_eq!(describe(folder.path(), None).unwrap_err().code(), "bad_model");
}

/// Comments and order of a manifest that somebody wrote stay as they are.
#[test]
fn an_entry_is_added_to_what_somebody_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let first = describe(&mistral(folder.path()), Some("first")).unwrap();
    let manifest = folder.path().join("config/precis/models.toml");
    record(&first, &manifest).unwrap();
    assert_eq!(private::wider_mode(&manifest), None);
    let mine = format!("# mine\n{}# the end", fs::read_to_string(&manifest).unwrap());
    fs::write(&manifest, &mine).unwrap();
    let second = ModelEntry { name: "second".into(), ..first.clone() };
    record(&second, &manifest).unwrap();
    record(&second, &manifest).unwrap();
    let text = fs::read_to_string(&manifest).unwrap();
    assert!(text.starts_with(&mine), "{text}");
    assert_eq!(Manifest::parse(&text).unwrap().models, [first, second]);
}

#[test]
fn another_entry_of_the_same_name_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let first = describe(&mistral(folder.path()), Some("mine")).unwrap();
    let manifest = folder.path().join("models.toml");
    record(&first, &manifest).unwrap();
    let before = fs::read(&manifest).unwrap();
    let error = record(&ModelEntry { context: 1, ..first }, &manifest).unwrap_err();
    assert!(error.code() == "bad_manifest" && error.to_string().contains("there already"), "{error}");
    assert_eq!(fs::read(&manifest).unwrap(), before);
}

/// In such a file, what is added at the end would be no TOML.
#[test]
fn a_manifest_in_another_form_of_toml_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let entry = describe(&mistral(folder.path()), Some("mine")).unwrap();
    let manifest = folder.path().join("models.toml");
    fs::write(&manifest, "model = []\n").unwrap();
    assert_eq!(record(&entry, &manifest).unwrap_err().code(), "bad_manifest");
    assert_eq!(fs::read_to_string(&manifest).unwrap(), "model = []\n");
}
