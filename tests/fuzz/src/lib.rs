//! Decoders held against hostile input. One definition of a target, two ways to run it.
//!
//! A test gives valid inputs and the decoder to [`survives`]. The decoder may answer what it likes;
//! it may not panic and not take [`MAX_DECODE_TIME`].
//!
//! - `cargo test`, on any compiler: the kept inputs of `tests/fuzz/corpus/<decoder>/`, then broken
//!   copies of them and of the test's own until a moment is over. The same build tries the same
//!   inputs in the same order.
//! - `make fuzz`, by `tests/fuzz/run.py`: libFuzzer, which sees what an input reached in the
//!   decoder and keeps what reached something new. No nightly compiler there either: the flags are
//!   stable.
//!
//! Such a test has `surviv` in its name, by which it is found. Variables:
//!
//! | variable | meaning |
//! | --- | --- |
//! | `PRECIS_FUZZ_SECONDS` | how long `cargo test` breaks copies for each decoder, 0.3 s without it |
//! | `PRECIS_FUZZ` | only the decoder of this name |
//! | `PRECIS_FUZZ_INPUT` | only the input in this file: one that was found |
//! | `PRECIS_FUZZ_LAST` | where libFuzzer's runs write each input before they try it |
//! | `PRECIS_FUZZ_LIST` | run nothing: write each decoder's test and valid inputs below this folder |

mod chance;
mod growth;
mod mode;
pub mod shapes;
#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, fs};

use chance::Chance;
pub use growth::{Shape, grows_linearly, takes_at_most};
use mode::Mode;

/// No decoder takes as long for an input of these sizes, in any build.
pub const MAX_DECODE_TIME: Duration = Duration::from_secs(10);
/// What `cargo test` spends on a decoder.
const DEFAULT_SECONDS: f64 = 0.3;
/// At the least, however slow the decoder is.
const LEAST_INPUTS: u64 = 200;
/// What every test that calls [`survives`] has in its name.
const MARK: &str = "surviv";

/// Holds the decoder called `name` against broken copies of `valid`, in the way that the module
/// describes.
///
/// # Panics
/// Where the decoder panics or takes too long; the input is in the file that the message names.
/// Where the test is named so that libFuzzer's runs would not find it.
pub fn survives(name: &str, valid: &[Vec<u8>], decode: impl Fn(&[u8]) + 'static) {
    assert!(!valid.is_empty(), "{name}: without a valid input too little is reached");
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    assert!(test.contains(MARK), "{name}: {test} must have `{MARK}` in its name to be found");
    match Mode::of(name) {
        Mode::Skipped => {}
        Mode::Listed(folder) => list(&folder, name, &test, valid),
        Mode::One(file) => {
            let input = fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            held(name, &input, &decode, &file);
        }
        #[cfg(feature = "libfuzzer")]
        Mode::Guided => guided(&test, decode),
        Mode::Unguided => unguided(name, valid, &decode),
    }
}

/// Kept inputs, valid ones, none at all, then broken copies until the time is up.
fn unguided(name: &str, valid: &[Vec<u8>], decode: &dyn Fn(&[u8])) {
    let seconds = env::var("PRECIS_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    let until = Instant::now() + Duration::from_secs_f64(seconds.unwrap_or(DEFAULT_SECONDS));
    let mut corpus = valid.to_vec();
    for (file, input) in kept(name) {
        held(name, &input, decode, &file);
        corpus.push(input);
    }
    let file = env::temp_dir().join(format!("precis-fuzz-{name}-{}", std::process::id()));
    let mut chance = Chance::seeded();
    let mut whole = valid.iter().cloned().chain([Vec::new()]);
    let mut tried = 0;
    while tried < LEAST_INPUTS || Instant::now() < until {
        let input = whole.next().unwrap_or_else(|| chance.broken(&corpus));
        held(name, &input, decode, &file);
        tried += 1;
    }
}

/// One input; one that breaks the decoder is left in `file`.
fn held(name: &str, input: &[u8], decode: &dyn Fn(&[u8]), file: &Path) {
    let began = Instant::now();
    let result = catch_unwind(AssertUnwindSafe(|| decode(input)));
    let took = began.elapsed();
    if result.is_err() || took > MAX_DECODE_TIME {
        if !file.exists() {
            // A full disk must not hide the panic that is being reported.
            let _ = fs::write(file, input);
        }
        note(name, file);
    }
    if let Err(panic) = result {
        resume_unwind(panic);
    }
    assert!(took <= MAX_DECODE_TIME, "{name} took {took:?} for {}", file.display());
}

/// Tests have no log: standard error is where their panics go, too.
fn note(name: &str, file: &Path) {
    use std::io::Write as _;
    let package = env::var("CARGO_PKG_NAME").map(|package| format!(" -p {package}")).unwrap_or_default();
    let _ = writeln!(
        std::io::stderr(),
        "{name}: the input is in {file}; again: PRECIS_FUZZ={name} PRECIS_FUZZ_INPUT={file} cargo test{package} {MARK}",
        file = file.display(),
    );
}

/// What libFuzzer once found to reach something that no other input reaches, and what broke a
/// decoder once; by name.
fn kept(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    // Asked for when it runs: the test may have been compiled in another folder.
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let folder = Path::new(&package).join("corpus").join(name);
    let mut files: Vec<PathBuf> = match fs::read_dir(&folder) {
        Ok(entries) => entries.filter_map(|entry| Some(entry.ok()?.path())).collect(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => panic!("{}: {error}", folder.display()),
    };
    files.sort();
    let read = |file: PathBuf| {
        let bytes = fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        (file, bytes)
    };
    files.into_iter().map(read).collect()
}

/// `<folder>/<decoder>/test`: the test that holds the decoder; `<folder>/<decoder>/valid/`: what
/// libFuzzer starts from.
fn list(folder: &Path, name: &str, test: &str, valid: &[Vec<u8>]) {
    let written = (|| {
        let inputs = folder.join(name).join("valid");
        fs::create_dir_all(&inputs)?;
        for (number, input) in valid.iter().enumerate() {
            fs::write(inputs.join(number.to_string()), input)?;
        }
        fs::write(folder.join(name).join("test"), test)
    })();
    written.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
}

/// libFuzzer in this process, with the arguments that stand behind `--` on the command line. Ends
/// the process.
#[cfg(feature = "libfuzzer")]
fn guided(test: &str, decode: impl Fn(&[u8]) + 'static) {
    use std::io::Write as _;
    use std::os::unix::fs::FileExt as _;
    use std::sync::Mutex;

    // Some decoders catch panics of the parsers that they call: only one that comes out is worth a
    // line.
    static LAST: Mutex<String> = Mutex::new(String::new());
    std::panic::set_hook(Box::new(|panic| {
        let text = panic.to_string();
        if let Ok(mut last) = LAST.lock() {
            *last = text;
        }
    }));
    // libFuzzer writes no input down where a stack overflows or the process is killed: two system
    // calls an input do.
    let last =
        env::var_os("PRECIS_FUZZ_LAST").map(|file| fs::File::create(file).expect("a folder that can be written"));
    let target = move |input: &[u8]| {
        if let Some(last) = &last {
            let written = last.write_all_at(input, 0).and_then(|()| last.set_len(input.len() as u64));
            written.expect("the last input is kept");
        }
        if catch_unwind(AssertUnwindSafe(|| decode(input))).is_err() {
            let _ = writeln!(std::io::stderr(), "{}", LAST.lock().map(|last| last.clone()).unwrap_or_default());
            // libFuzzer writes the input down when it is told in this way.
            std::process::abort();
        }
    };
    // libFuzzer starts itself again to merge, by a shell: the same test with other arguments.
    let program = env::args().next().unwrap_or_default();
    let again = format!("{program} --exact {test} --nocapture --");
    let arguments = env::args().skip_while(|argument| argument != "--").skip(1);
    let code = precis_libfuzzer::drive([again].into_iter().chain(arguments).collect(), Box::new(target));
    assert_eq!(code, 0, "libFuzzer's exit code");
}
