//! Entries of a user's own: made from a file's header, and written to a manifest.

use std::fs::{self, OpenOptions};
use std::io::{BufReader, Write as _};
use std::path::{Path, PathBuf};

use candle_core::quantized::gguf_file::Content;
use precis_base::private;

use super::manifest::FAMILIES;
use super::pinned::digest_of;
use super::source::Source;
use super::{Manifest, ModelEntry, Progress, fetch_and_pin};
use crate::error::EngineError;
use crate::gguf;

/// Digits of the digest that become the revision of a file that has no other.
const REVISION_DIGITS: usize = 12;
/// Licence of a file that does not say its own.
const UNKNOWN_LICENCE: &str = "LicenseRef-unknown";
/// Licences as model files name them, and as SPDX does.
const LICENCES: [(&str, &str); 10] = [
    ("apache-2.0", "Apache-2.0"),
    ("mit", "MIT"),
    ("bsd-3-clause", "BSD-3-Clause"),
    ("cc-by-4.0", "CC-BY-4.0"),
    ("cc-by-nc-4.0", "CC-BY-NC-4.0"),
    ("cc-by-sa-4.0", "CC-BY-SA-4.0"),
    ("gpl-3.0", "GPL-3.0-only"),
    ("agpl-3.0", "AGPL-3.0-only"),
    ("openrail", "LicenseRef-OpenRAIL"),
    ("gemma", "LicenseRef-Gemma"),
];
/// `general.file_type` of GGUF: how most of the weights are stored.
const FILE_TYPES: [(u32, &str); 17] = [
    (0, "F32"),
    (1, "F16"),
    (2, "Q4_0"),
    (3, "Q4_1"),
    (7, "Q8_0"),
    (8, "Q5_0"),
    (9, "Q5_1"),
    (10, "Q2_K"),
    (11, "Q3_K_S"),
    (12, "Q3_K_M"),
    (13, "Q3_K_L"),
    (14, "Q4_K_S"),
    (15, "Q4_K_M"),
    (16, "Q5_K_S"),
    (17, "Q5_K_M"),
    (18, "Q6_K"),
    (32, "BF16"),
];

/// The manifest that is read where the settings name none: `precis/models.toml` in the user's
/// configuration folder. `None` where the user has no such folder.
pub fn default_manifest() -> Option<PathBuf> {
    let named = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = named("XDG_CONFIG_HOME").or_else(|| Some(named("HOME")?.join(".config")))?;
    Some(folder.join("precis/models.toml"))
}

/// An entry for a GGUF file on this machine: what its header says, its digest, and the file itself
/// as the source. `name`: instead of the file's own. The digest pins the file from now on.
///
/// # Errors
/// A file that is no GGUF or of a family that no entry may name; a name that no entry may have.
pub fn describe(path: &Path, name: Option<&str>) -> Result<ModelEntry, EngineError> {
    let path = fs::canonicalize(path).map_err(|error| EngineError::io("reading", path, &error))?;
    if !path.is_file() {
        return Err(EngineError::BadModel { file: path, reason: "it is no file".to_owned() });
    }
    let mut file = fs::File::open(&path).map_err(|error| EngineError::io("opening", &path, &error))?;
    let bytes = file.metadata().map_err(|error| EngineError::io("reading", &path, &error))?.len();
    let content = gguf::header(&mut BufReader::new(&mut file)).map_err(|error| named(error, &path))?;
    whole_model(&content).map_err(|error| named(error, &path))?;
    std::io::Seek::rewind(&mut file).map_err(|error| EngineError::io("reading", &path, &error))?;
    let sha256 = digest_of(&mut file, &path)?;
    let architecture = gguf::string(&content, "general.architecture").map_err(|error| named(error, &path))?;
    let stem = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let entry = ModelEntry {
        name: name.map_or_else(|| plain(&stem).to_lowercase(), str::to_owned),
        revision: sha256[..REVISION_DIGITS].to_owned(),
        family: family(&content, architecture)?,
        file: format!("{}.gguf", plain(&stem)),
        sha256,
        bytes: Some(bytes),
        licence: licence(&content),
        tested: false,
        notice: None,
        context: gguf::number(&content, &format!("{architecture}.context_length"))
            .map_err(|error| named(error, &path))? as usize,
        window: None,
        quantisation: quantisation(&content),
        prompt_template: "gguf".to_owned(),
        quality: Vec::new(),
        sources: vec![Source::File { path }],
    };
    sound(entry)
}

fn sound(entry: ModelEntry) -> Result<ModelEntry, EngineError> {
    let problems = entry.problems();
    if problems.is_empty() { Ok(entry) } else { Err(EngineError::BadManifest { reason: problems.join("; ") }) }
}

/// An entry for a file of which only the place is known, and, where it is not empty, the digest.
/// [`fetch_unseen`] fills in the rest.
///
/// # Errors
/// A name that no entry may have.
pub fn unseen(source: Source, name: Option<&str>, sha256: String) -> Result<ModelEntry, EngineError> {
    let (file, revision) = match &source {
        Source::HuggingFace { file, revision, .. } => (file.as_str(), revision.as_str()),
        _ => ("model.gguf", "1"),
    };
    let file = file.rsplit('/').next().unwrap_or_default();
    let stem = file.strip_suffix(".gguf").unwrap_or(file);
    let entry = ModelEntry {
        name: name.map_or_else(|| plain(stem).to_lowercase(), str::to_owned),
        revision: plain(revision),
        family: FAMILIES[0].to_owned(),
        file: plain(file),
        sha256,
        bytes: None,
        licence: UNKNOWN_LICENCE.to_owned(),
        tested: false,
        notice: None,
        context: 0,
        window: None,
        quantisation: String::new(),
        prompt_template: "gguf".to_owned(),
        quality: Vec::new(),
        sources: vec![source],
    };
    sound(entry)
}

/// Fetches the file of such an entry, and returns the entry with what the file's header says and
/// with its digest. A file that cannot be an entry does not stay.
///
/// # Errors
/// Those of a pull and of [`describe`].
pub fn fetch_unseen(
    entry: &ModelEntry,
    models_dir: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<(ModelEntry, PathBuf), EngineError> {
    let (pinned, path) = fetch_and_pin(entry, models_dir, progress)?;
    let described = describe(&path, Some(&entry.name)).inspect_err(|_| {
        let _ = fs::remove_file(&path);
    })?;
    let ModelEntry { revision, file, sha256, sources, .. } = pinned;
    Ok((ModelEntry { revision, file, sha256, sources, ..described }, path))
}

/// Writes an entry to the end of a manifest, which is created where it is missing; what is there
/// stays as it is, comments included. An equal entry is not written again.
///
/// # Errors
/// A manifest that cannot be read or written, or has another entry of that name.
pub fn record(entry: &ModelEntry, manifest: &Path) -> Result<(), EngineError> {
    let bad = |reason: String| EngineError::BadManifest { reason: format!("{}: {reason}", manifest.display()) };
    let before = match fs::read_to_string(manifest) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(EngineError::io("reading", manifest, &error)),
    };
    let known = Manifest::parse(&before)?;
    if let Some(other) = known.models.iter().find(|other| other.name == entry.name) {
        let reason = format!(
            "`{}` is there already, with another file or other words: take it out, or use another name",
            entry.name
        );
        return if other == entry { Ok(()) } else { Err(bad(reason)) };
    }
    let one = Manifest { models: vec![entry.clone()] };
    let block = toml::to_string(&one).map_err(|error| bad(error.to_string()))?;
    let separator = if before.is_empty() {
        ""
    } else if before.ends_with('\n') {
        "\n"
    } else {
        "\n\n"
    };
    let added = format!("{separator}{block}");
    // A manifest that lists its models in another form of TOML cannot be added to.
    let after = Manifest::parse(&format!("{before}{added}"))?;
    if after.models.last() != Some(entry) {
        return Err(bad(format!("`{}` would not be read back as it is", entry.name)));
    }
    let failed = |error: std::io::Error| EngineError::io("writing", manifest, &error);
    if let Some(folder) = manifest.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        private::create_folders(folder).map_err(failed)?;
    }
    let mut file = private_append(manifest).map_err(failed)?;
    // One write, so that two that add at the same time do not mix.
    file.write_all(added.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
}

fn private_append(path: &Path) -> std::io::Result<fs::File> {
    let mut options: OpenOptions = private::file_options();
    options.append(true).create(true).open(path)
}

fn named(error: EngineError, path: &Path) -> EngineError {
    match error {
        EngineError::BadModel { reason, .. } => EngineError::BadModel { file: path.to_path_buf(), reason },
        other => other,
    }
}

/// Refuses GGUF files that are something else, or a part.
fn whole_model(content: &Content) -> Result<(), EngineError> {
    if let Ok(kind @ ("adapter" | "mmproj")) = gguf::string(content, "general.type") {
        return Err(gguf::broken(&format!("it is an {kind}, no model")));
    }
    match gguf::number(content, "split.count") {
        Ok(parts) if parts > 1 => Err(gguf::broken(&format!(
            "it is one of {parts} parts of a model: join them with `llama-gguf-split --merge` first"
        ))),
        _ => Ok(()),
    }
}

/// Llama and Mistral share an architecture in GGUF; the file's own name tells them apart.
fn family(content: &Content, architecture: &str) -> Result<String, EngineError> {
    let is_mistral = ["general.basename", "general.name"]
        .iter()
        .filter_map(|key| gguf::string(content, key).ok())
        .any(|name| name.to_lowercase().contains("mistral"));
    match architecture {
        "llama" if is_mistral => Ok("mistral".to_owned()),
        known if FAMILIES.contains(&known) => Ok(known.to_owned()),
        other => Err(EngineError::UnsupportedArchitecture { architecture: other.to_owned() }),
    }
}

fn licence(content: &Content) -> String {
    let Ok(named) = gguf::string(content, "general.license") else { return UNKNOWN_LICENCE.to_owned() };
    let lower = named.trim().to_lowercase();
    match LICENCES.iter().find(|(other, _)| *other == lower) {
        Some((_, spdx)) => (*spdx).to_owned(),
        None if lower.is_empty() => UNKNOWN_LICENCE.to_owned(),
        None => format!("LicenseRef-{}", plain(&lower)),
    }
}

fn quantisation(content: &Content) -> String {
    let kind = gguf::number(content, "general.file_type").ok();
    let known = kind.and_then(|kind| FILE_TYPES.iter().find(|(other, _)| *other == kind));
    known.map_or("mixed", |(_, name)| *name).to_owned()
}

/// A text in the characters that names of an entry may have.
fn plain(text: &str) -> String {
    let letters = text.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' });
    letters.collect::<String>().trim_start_matches('.').chars().take(100).collect()
}

#[cfg(test)]
mod tests;
