//! Holds functions over text to work that grows no faster than the text.
//!
//! The work is counted, not timed: `make growth` runs the tests under callgrind, which counts the
//! instructions of everything that runs in [`counted`]: our code, other crates, the standard
//! library. Each shape is tried with one length and with four times as much. tests/fuzz/growth.py
//! compares the two. `cargo test` tries the shapes once, short, for panics alone.
//!
//! Such a test has `linear` in its name, by which it is found.

use std::env;
use std::hint::black_box;
use std::io::Write as _;

/// A kind of text that makes quadratic code slow.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// What the failure calls it.
    pub name: &'static str,
    /// About so many bytes of it.
    pub text: fn(usize) -> String,
}

/// How many times as long the second text of a shape is.
const FACTOR: usize = 4;
/// Bytes of each shape in `cargo test`.
const SHORT_BYTES: usize = 600;
/// Set by tests/fuzz/growth.py.
const COUNTING: &str = "PRECIS_GROWTH";
/// What every test that calls [`grows_linearly`] has in its name.
const MARK: &str = "linear";

/// Holds `work`, called `name`, to work that grows no faster than its input. `bytes` is the length
/// of the shorter texts: more than whatever the function reads at most of something.
///
/// # Panics
/// Where the work panics, or the test is named so that tests/fuzz/growth.py would not find it.
pub fn grows_linearly(name: &str, bytes: usize, shapes: &[Shape], work: impl Fn(&str)) {
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    assert!(test.contains(MARK), "{name}: {test} must have `{MARK}` in its name to be found");
    // The names of targets by commas, or `all`.
    let is_counted = env::var(COUNTING).is_ok_and(|only| only == "all" || only.split(',').any(|one| one == name));
    for shape in shapes {
        // What is made once, at the first call, is no work on this text.
        work(&(shape.text)(SHORT_BYTES));
        if !is_counted {
            continue;
        }
        for bytes in [bytes, bytes * FACTOR] {
            let text = (shape.text)(bytes);
            counted(&work, &text);
            // In the order of the counts, which callgrind writes when the function returns.
            let line = format!("growth\t{name}\t{}\t{}\n", shape.name, text.len());
            let _ = std::io::stderr().write_all(line.as_bytes());
        }
    }
}

/// The function by whose name callgrind knows when to count.
#[inline(never)]
fn counted(work: &dyn Fn(&str), text: &str) {
    work(black_box(text));
    black_box(());
}
