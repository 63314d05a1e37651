//! Runs a reader so that its panic is an error of one input and nothing is printed.
//!
//! Rust prints a panic before anybody can catch it, and its message may quote the document. So the
//! process's panic hook is silent for threads that are within [`run`]; for all others it is the one
//! that was there before.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

/// The code of a reader's panic.
pub(super) const CODE: &str = "reader_panicked";

thread_local! {
    static IS_WITHIN: Cell<bool> = const { Cell::new(false) };
    /// The place in the program's source at which this thread panicked.
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// A reader's panic, without its message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Panicked {
    place: String,
}

impl fmt::Display for Panicked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place } = self;
        write!(formatter, "could not be read: its reader failed at {place}, a fault of this program; please report it")
    }
}

/// Runs `read` and returns its result.
///
/// # Errors
/// `read` panicked. Its changes up to the panic stay.
pub(super) fn run<T>(read: impl FnOnce() -> T) -> Result<T, Panicked> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if IS_WITHIN.get() {
                let place = panic.location().map(|place| format!("{}:{}", place.file(), place.line()));
                PLACE.set(place.unwrap_or_default());
            } else {
                before(panic);
            }
        }));
    });
    let before = IS_WITHIN.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(read));
    IS_WITHIN.set(before);
    result.map_err(|_| Panicked { place: PLACE.take() })
}
