//! `precis models quantise`: a float model to a quantised GGUF file, and its entry for a manifest.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::ValueEnum;
use precis_inference::convert::{self, Quantisation, Quantised};
use serde_json::json;

use crate::exit::Exit;
use crate::output::Output;
use crate::progress::bytes_bar;

const EXAMPLES: &str = "\
Examples:
  precis models quantise fine-tuned/
  precis models quantise fine-tuned/ --to q8_0 --out support-8b.gguf --licence llama3.1
  precis models quantise model-f16.gguf --to q4_k

IN is a folder as save_pretrained of Hugging Face writes it: config.json, model.safetensors or its parts with their index, \
tokenizer.json or tokenizer.model, tokenizer_config.json. Converted are Llama, Mistral, Qwen2 and Qwen3; what is not known is \
refused by name. Beside FILE, FILE's name with .toml gets the entry that [model] manifest and [model] name take.";

/// Quantise a model in safetensors, or a GGUF file of floats, to a GGUF file
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct QuantiseArgs {
    /// A folder of Hugging Face, or a GGUF file in f32, f16 or bf16
    #[arg(value_name = "IN")]
    source: PathBuf,
    /// What the matrices are stored as
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Q4K)]
    to: Format,
    /// The file to write [default: IN's name and the format, here]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Name of the entry [default: FILE's name without its ending]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Licence of the weights, as an SPDX expression
    #[arg(long, value_name = "LICENCE", default_value = "LicenseRef-unknown")]
    licence: String,
}

/// What the matrices are stored as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// About 4.8 bits a weight: llama.cpp's mixture `Q4_K_M`
    #[value(name = "q4_k")]
    Q4K,
    /// 8.5 bits a weight: nearly without loss
    #[value(name = "q8_0")]
    Q8_0,
    /// 16 bits a weight: a conversion without quantisation
    #[value(name = "f16")]
    F16,
}

impl From<Format> for Quantisation {
    fn from(format: Format) -> Self {
        match format {
            Format::Q4K => Self::Q4K,
            Format::Q8_0 => Self::Q8_0,
            Format::F16 => Self::F16,
        }
    }
}

/// Runs the command.
///
/// # Errors
/// A model that is not sound or not known, a file that exists, a disk that is full.
pub(super) async fn run(args: QuantiseArgs, out: &Output) -> anyhow::Result<Exit> {
    let target = args.out.clone().unwrap_or_else(|| default_target(&args.source, args.to));
    let manifest = target.with_extension("toml");
    anyhow::ensure!(!manifest.exists(), "{} exists: remove it, or give another --out", manifest.display());
    anyhow::ensure!(manifest != target, "{} is the entry's name: give the model another", target.display());
    let name = args.name.clone().unwrap_or_else(|| stem(&target));
    convert::expect_name(&name)?;
    out.note(format_args!("writing {} from {}", target.display(), args.source.display()));
    let bar = bytes_bar();
    let (source, to, shown) = (args.source.clone(), args.to.into(), bar.clone());
    let written = tokio::task::spawn_blocking(move || {
        convert::quantise(&source, to, &target, &mut |step| {
            shown.set_length(step.total);
            shown.set_position(step.done);
        })
    })
    .await?;
    bar.finish_and_clear();
    let written = written?;
    let entry = written.manifest(&name, &args.licence)?;
    fs::write(&manifest, &entry).with_context(|| format!("{} cannot be written", manifest.display()))?;
    tell(&written, &name, &manifest, out)?;
    Ok(Exit::Done)
}

fn tell(written: &Quantised, name: &str, manifest: &Path, out: &Output) -> anyhow::Result<()> {
    let formats = written.formats.iter().map(|(format, count)| format!("{count} {format}"));
    let formats = formats.collect::<Vec<_>>().join(", ");
    if let Some(reason) = &written.not_run_here {
        out.note(format_args!("this build does not run it, llama.cpp may: {reason}"));
    }
    if out.json() {
        out.value(&json!({
            "name": name,
            "path": written.path,
            "manifest": manifest,
            "sha256": written.sha256,
            "bytes": written.bytes,
            "formats": written.formats,
            "runs_here": written.not_run_here.is_none(),
        }))?;
        return Ok(());
    }
    out.line(format_args!("{} has {} bytes, tensors: {formats}", written.path.display(), written.bytes));
    out.line(format_args!("sha256 {}", written.sha256));
    out.line(format_args!(
        "to use it: [model] manifest = \"{}\", name = \"{name}\"; then `precis models pull {name}`",
        manifest.display()
    ));
    Ok(())
}

/// `fine-tuned/` becomes `fine-tuned-q4_k.gguf` in the current folder.
fn default_target(source: &Path, to: Format) -> PathBuf {
    let format = to.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
    // `.` and `..` have no name of their own.
    let named = fs::canonicalize(source).unwrap_or_else(|_| source.to_owned());
    let name = if source.is_dir() { named.file_name().map(|name| name.to_string_lossy().into_owned()) } else { None };
    PathBuf::from(format!("{}-{format}.gguf", name.unwrap_or_else(|| stem(&named))))
}

/// A file's name without its ending, in the letters that a manifest's names have.
fn stem(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let name: String = stem.chars().map(plain).collect();
    name.trim_start_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_become_names_of_entries() {
        for (path, name) in [("a/Support 8B (v2).gguf", "Support-8B--v2-"), ("model.gguf", "model"), (".x.gguf", "x")] {
            assert_eq!(stem(Path::new(path)), name);
        }
        let target = default_target(Path::new("weights/base-f16.gguf"), Format::Q4K);
        assert_eq!(target, Path::new("base-f16-q4_k.gguf"));
    }
}
