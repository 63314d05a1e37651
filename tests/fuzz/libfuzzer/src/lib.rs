//! libFuzzer, called from inside a test: so a decoder stays private to its crate, and one
//! definition of a target serves `cargo test` and the fuzzer.
//!
//! libFuzzer is the C++ that the crate `libfuzzer-sys` carries and compiles. Its own `main` is not
//! linked, since the test has one; [`drive`] calls `LLVMFuzzerRunDriver`, which it has for
//! embedders. It learns what an input reached from the counters that `tests/fuzz/rustc.sh` has the
//! compiler put into the decoders' crates.

use std::cell::OnceCell;
use std::ffi::{CString, c_char, c_int};

// What links libFuzzer: nothing else here names the crate.
use libfuzzer_sys as _;

/// Anything that can be held against an input.
pub type Target = Box<dyn Fn(&[u8])>;

thread_local! {
    /// libFuzzer calls back on the thread that called it, without a word about which target is
    /// meant.
    static TARGET: OnceCell<Target> = const { OnceCell::new() };
}

unsafe extern "C" {
    /// Of `libfuzzer-sys`: makes a slice of its arguments and gives it to `rust_fuzzer_test_input`.
    fn LLVMFuzzerTestOneInput(data: *const u8, size: usize) -> c_int;

    fn LLVMFuzzerRunDriver(
        argc: *mut c_int,
        argv: *mut *mut *mut c_char,
        target: unsafe extern "C" fn(*const u8, usize) -> c_int,
    ) -> c_int;
}

/// Runs libFuzzer with these arguments, the first of which is the command that it may start itself
/// again by. It ends the process when it is done; only where it has nothing to do it returns, with
/// an exit code.
///
/// # Panics
/// Where an argument holds a zero byte, or on a thread that called it before.
pub fn drive(arguments: Vec<String>, target: Target) -> i32 {
    TARGET.with(|known| assert!(known.set(target).is_ok(), "one target a thread"));
    let arguments =
        arguments.into_iter().map(|argument| CString::new(argument).expect("no argument holds a zero byte"));
    // libFuzzer keeps them as long as the process lives.
    let pointers: Vec<*mut c_char> = arguments.map(CString::into_raw).chain([std::ptr::null_mut()]).collect();
    let mut count = c_int::try_from(pointers.len() - 1).expect("no command line is as long");
    let mut pointers = Vec::leak(pointers).as_mut_ptr();
    // SAFETY: as for C's `main`: `count` texts that end in zero, then null, all of them writable
    // and never freed. The callback has the signature that libFuzzer gives its callers, and is
    // sound for what it is called with, a readable block of that size.
    unsafe { LLVMFuzzerRunDriver(&raw mut count, &raw mut pointers, LLVMFuzzerTestOneInput) }
}

/// What `libfuzzer-sys` hands each input to. 0: an input worth keeping where it reached something
/// new.
// SAFETY: no other item has this name; `libfuzzer-sys` declares it with this signature and defines
// it nowhere.
#[unsafe(no_mangle)]
#[allow(improper_ctypes_definitions, reason = "both sides are Rust")]
extern "C" fn rust_fuzzer_test_input(input: &[u8]) -> c_int {
    TARGET.with(|target| target.get().expect("`drive` has set it on this thread")(input));
    0
}
