use std::cell::Cell;
use std::rc::Rc;

use super::*;

#[test]
fn a_decoder_that_trusts_a_length_does_not_survive() {
    let caught = catch_unwind(|| {
        survives("trusting", &[vec![3, b'a', b'b', b'c']], |bytes| {
            if let Some((length, rest)) = bytes.split_first() {
                let _ = &rest[..usize::from(*length)];
            }
        });
    });
    assert!(caught.is_err());
}

#[test]
fn a_decoder_survives_what_is_valid_and_nothing_at_all() {
    let seen = Rc::new(Cell::new((false, false)));
    let told = Rc::clone(&seen);
    survives("all", &[b"whole".to_vec()], move |bytes| {
        let (whole, empty) = told.get();
        told.set((whole || bytes == b"whole", empty || bytes.is_empty()));
    });
    assert_eq!(seen.get(), (true, true));
}

#[test]
fn a_test_that_libfuzzer_would_not_find_fails() {
    assert!(catch_unwind(|| survives("hidden", &[vec![0]], |_| {})).is_err());
}

#[test]
fn a_decoder_survives_what_was_kept_once_more() {
    let kept = kept("policy");
    assert!(!kept.is_empty());
    let left = Rc::new(Cell::new(kept.len()));
    let told = Rc::clone(&left);
    survives("policy", &[b"valid".to_vec()], move |bytes| {
        let first = kept.len() - told.get();
        if kept.get(first).is_some_and(|(_, input)| input == bytes) {
            told.set(told.get() - 1);
        }
    });
    assert_eq!(left.get(), 0);
}
