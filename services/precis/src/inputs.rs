//! Documents from what the user names: files, folders, `-` and JSON Lines.
//!
//! Each input is read on its own. One that cannot be used is reported with a code and the others go
//! on ([`Problem`]). A document's words are never changed, and only what is no text is left out:
//! the markup of an HTML page, a byte order mark, codes for terminals, the bytes of pictures. The
//! parts that were left out are counted ([`Notes`]).

mod arguments;
mod encoding;
mod file;
mod html;
mod images;
mod isolate;
mod json_lines;
mod metadata;
mod notes;
mod open;
mod own;
mod terminal;

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use precis_pipeline::source;

use crate::output::Output;
use crate::output::words::plural;

pub use arguments::TextInput;
pub use encoding::Remedy;
pub use file::TextError;
pub use notes::{Note, Notes};
pub use own::{SUMMARIES_FILE, SUMMARIES_MARK};

use open::NotOpened;

/// Largest document that is read, bytes: what the services accept as well.
pub const MAX_DOCUMENT_BYTES: u64 = source::MAX_TEXT_BYTES;

/// A text to summarise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// The name by which the user knows it: its path as given, `stdin`, or `file.jsonl:12`.
    pub name: String,
    /// The readable part of its document id: the file name without its ending, or the id that its
    /// record states.
    pub stem: String,
    /// The id that its record states.
    pub stated_id: Option<String>,
    /// The title that its record states.
    pub title: Option<String>,
    /// The language that its record states.
    pub language: Option<String>,
    /// The reference summary that its record states.
    pub reference: Option<String>,
    /// Its text.
    pub text: String,
}

/// An input that could not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How the user knows it.
    pub name: String,
    /// Stable code.
    pub code: &'static str,
    /// What is wrong and what to do.
    pub message: String,
}

/// Everything that was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    /// Texts, in the order of the arguments; within a folder by path.
    pub documents: Vec<Input>,
    /// Inputs that could not be used.
    pub problems: Vec<Problem>,
    /// Files in folders whose ending says that they are no documents.
    pub skipped: usize,
    /// Files that a run of `precis summarize` wrote: results, not documents.
    pub results: Vec<String>,
    /// What was left out of the documents.
    pub notes: Notes,
}

/// How inputs are read.
#[derive(Debug, Clone)]
pub struct ReadOptions {
    /// Name of the field with the text in JSON Lines.
    pub text_field: String,
    /// Name of the field with a reference summary in JSON Lines; `None`: no record has one.
    pub reference_field: Option<String>,
    /// What `-` holds.
    pub stdin: Kind,
    /// Largest document, bytes.
    pub max_bytes: u64,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self { text_field: "text".to_owned(), reference_field: None, stdin: Kind::Text, max_bytes: MAX_DOCUMENT_BYTES }
    }
}

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// Plain text or Markdown.
    Text,
    /// A web page.
    Html,
    /// A JSON object with a text a line.
    Jsonl,
    /// A JSON array of such objects, or one of them.
    Json,
}

impl Kind {
    /// What a file's ending says; `None` for endings that no document has.
    fn of_ending(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?.to_ascii_lowercase();
        match ending.as_str() {
            "txt" | "text" | "md" | "markdown" => Some(Self::Text),
            "html" | "htm" | "xhtml" => Some(Self::Html),
            "jsonl" | "ndjson" => Some(Self::Jsonl),
            _ => None,
        }
    }
}

/// Reads everything that `paths` name. `stdin` is read where a path is `-`.
pub fn collect(paths: &[PathBuf], stdin: &mut dyn Read, options: &ReadOptions) -> Inputs {
    let mut inputs = Inputs::default();
    for path in paths {
        if path.as_os_str() == "-" {
            read(&mut inputs, "stdin", "stdin", options.stdin, stdin, options);
        } else if path.is_dir() {
            folder(&mut inputs, path, options);
        } else {
            named(&mut inputs, path, options);
        }
    }
    if let (true, true, Some(name)) = (inputs.documents.is_empty(), inputs.problems.is_empty(), inputs.results.first())
    {
        inputs.problems.push(Problem {
            name: name.clone(),
            code: "own_result",
            message: "was written by precis, and there is nothing else; a copy under another name can be read"
                .to_owned(),
        });
    }
    inputs
}

/// Tells of every input that cannot be used, a line each.
pub fn tell(inputs: &Inputs, out: &Output) {
    for Problem { name, code, message } in &inputs.problems {
        out.note(format_args!("error: {name} {message} ({code})"));
    }
    match &*inputs.results {
        [] => {}
        [name] => out.note(format_args!("{name} was written by precis and is not read")),
        many => {
            out.note(format_args!("{} were written by precis and are not read", plural(many.len(), "file")));
        }
    }
    for line in inputs.notes.lines() {
        out.note(format_args!("note: {line}"));
    }
    if inputs.skipped > 0 {
        out.note(format_args!("{} with other endings skipped", plural(inputs.skipped, "file")));
    }
}

fn folder(inputs: &mut Inputs, folder: &Path, options: &ReadOptions) {
    let before = (inputs.documents.len(), inputs.problems.len());
    let mut paths = BTreeSet::new();
    files_below(inputs, folder, &mut paths);
    for path in paths {
        match Kind::of_ending(&path) {
            Some(kind) => match open::found(&path) {
                Ok(mut file) => file_at(inputs, &path, kind, &mut file, options),
                Err(error) => inputs.problems.push(not_opened(&path, &error)),
            },
            None => inputs.skipped += 1,
        }
    }
    if (inputs.documents.len(), inputs.problems.len()) == before {
        inputs.problems.push(Problem {
            name: folder.display().to_string(),
            code: "no_documents",
            message: "the folder holds no .txt, .md, .html, .htm or .jsonl file".to_owned(),
        });
    }
}

/// All files below a folder, but nothing hidden. Links to folders are not followed: they may lead
/// in circles.
fn files_below(inputs: &mut Inputs, folder: &Path, found: &mut BTreeSet<PathBuf>) {
    let entries = match fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
        Ok(entries) => entries,
        Err(error) => return inputs.problems.push(unreadable(folder, &error)),
    };
    for entry in entries {
        let path = entry.path();
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        match entry.file_type() {
            _ if hidden => {}
            Ok(kind) if kind.is_dir() => files_below(inputs, &path, found),
            Ok(kind) if kind.is_symlink() && path.is_dir() => {}
            Ok(_) => {
                found.insert(path);
            }
            Err(error) => inputs.problems.push(unreadable(&path, &error)),
        }
    }
}

/// A path that was named is read whatever it is, a pipe as well, and tried as text whatever its
/// ending says; binary content is noticed when it is read. JSON is only read where it was named: in
/// folders it is mostly settings.
fn named(inputs: &mut Inputs, path: &Path, options: &ReadOptions) {
    let is_json = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
    let kind = if is_json { Kind::Json } else { Kind::of_ending(path).unwrap_or(Kind::Text) };
    match fs::File::open(path) {
        Ok(mut file) => file_at(inputs, path, kind, &mut file, options),
        Err(error) => inputs.problems.push(unreadable(path, &error)),
    }
}

fn file_at(inputs: &mut Inputs, path: &Path, kind: Kind, file: &mut fs::File, options: &ReadOptions) {
    let name = path.display().to_string();
    if own::is_result(path) {
        return inputs.results.push(name);
    }
    let stem = path.file_stem().map_or_else(|| "document".to_owned(), |stem| stem.to_string_lossy().into_owned());
    read(inputs, &name, &stem, kind, file, options);
}

/// Reads one input. A panic in its reader is a problem of this input alone.
fn read(inputs: &mut Inputs, name: &str, stem: &str, kind: Kind, source: &mut dyn Read, options: &ReadOptions) {
    if let Err(panicked) = isolate::run(|| read_as(inputs, name, stem, kind, source, options)) {
        inputs.problems.push(Problem { name: name.to_owned(), code: isolate::CODE, message: panicked.to_string() });
    }
}

fn read_as(inputs: &mut Inputs, name: &str, stem: &str, kind: Kind, source: &mut dyn Read, options: &ReadOptions) {
    let mut source = match encoding::decoded(source, kind) {
        Ok(source) => source,
        Err(error) => return inputs.problems.push(problem(name, &error)),
    };
    match kind {
        Kind::Jsonl => json_lines::read(inputs, name, stem, &mut source, options),
        Kind::Json => json_lines::read_values(inputs, name, stem, &mut source, options),
        Kind::Text | Kind::Html => match file::text_of(&mut source, kind, options.max_bytes) {
            Ok(file::Text { text, notes }) => {
                for note in notes {
                    inputs.notes.add(note, name);
                }
                inputs.documents.push(Input {
                    name: name.to_owned(),
                    stem: stem.to_owned(),
                    stated_id: None,
                    title: None,
                    language: None,
                    reference: None,
                    text,
                });
            }
            Err(error) => inputs.problems.push(problem(name, &error)),
        },
    }
}

fn problem(name: &str, error: &TextError) -> Problem {
    Problem { name: name.to_owned(), code: error.code(), message: error.to_string() }
}

fn unreadable(path: &Path, error: &io::Error) -> Problem {
    let code = if error.kind() == io::ErrorKind::NotFound { "not_found" } else { "unreadable" };
    Problem { name: path.display().to_string(), code, message: format!("cannot be read: {}", reason(error)) }
}

fn not_opened(path: &Path, error: &NotOpened) -> Problem {
    match error {
        NotOpened::Unreadable(error) => unreadable(path, error),
        NotOpened::NotAFile(what) => {
            let advice = if *what == open::SOCKET { "" } else { "; to read from it, name it as an argument" };
            let message = format!("is {what}, not a file, and was not opened{advice}");
            Problem { name: path.display().to_string(), code: "not_a_file", message }
        }
    }
}

/// The operating system's words without its error number.
fn reason(error: &io::Error) -> String {
    let text = error.to_string().to_lowercase();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
