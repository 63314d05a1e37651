//! Holds functions over text to work that grows no faster than the text.
//!
//! The work is counted, not timed: `make growth` runs the tests under callgrind, which counts the
//! instructions of everything that runs in [`counted`]: our code, other crates, the standard
//! library. Each shape is tried with one length and with four times as much. tests/fuzz/growth.py
//! compares the two. `cargo test` tries the shapes once, short, for panics alone.
//!
//! Such a test has `linear` in its name, by which it is found. One that compares two ways of the
//! same work by [`takes_at_most`] has `cheaper` in it.

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
const LINEAR: &str = "linear";
/// What every test that calls [`takes_at_most`] has in its name.
const CHEAPER: &str = "cheaper";

/// Holds `work`, called `name`, to work that grows no faster than its input. `bytes` is the length
/// of the shorter texts: more than whatever the function reads at most of something.
///
/// # Panics
/// Where the work panics, or the test is named so that tests/fuzz/growth.py would not find it.
pub fn grows_linearly(name: &str, bytes: usize, shapes: &[Shape], work: impl Fn(&str)) {
    let is_counted = is_counted(name, LINEAR);
    for shape in shapes {
        // What is made once, at the first call, is no work on this text.
        work(&(shape.text)(SHORT_BYTES));
        if !is_counted {
            continue;
        }
        for bytes in [bytes, bytes * FACTOR] {
            let text = (shape.text)(bytes);
            counted(&mut || work(black_box(&text)));
            tell(&format!("growth\t{name}\t{}\t{}\n", shape.name, text.len()));
        }
    }
}

/// Holds `work`, called `name`, to at most `percent` of the instructions that `whole` takes for the
/// same.
///
/// # Panics
/// Where either panics, or the test is named so that tests/fuzz/growth.py would not find it.
pub fn takes_at_most(percent: u32, name: &str, work: &mut dyn FnMut(), whole: &mut dyn FnMut()) {
    let is_counted = is_counted(name, CHEAPER);
    let one = |work: &mut dyn FnMut()| {
        work();
        if is_counted {
            counted(work);
            tell(&format!("share\t{name}\tat most {percent} %\t{percent}\n"));
        }
    };
    one(work);
    one(whole);
}

/// Whether the work of this target is counted in this run.
fn is_counted(name: &str, mark: &str) -> bool {
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    assert!(test.contains(mark), "{name}: {test} must have `{mark}` in its name to be found");
    // The names of targets by commas, or `all`.
    env::var(COUNTING).is_ok_and(|only| only == "all" || only.split(',').any(|one| one == name))
}

/// Says what was counted, in the order of the counts, which callgrind writes when [`counted`]
/// returns.
fn tell(line: &str) {
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// The function by whose name callgrind knows when to count.
#[inline(never)]
fn counted(work: &mut dyn FnMut()) {
    work();
    black_box(());
}
