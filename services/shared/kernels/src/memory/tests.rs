#![allow(clippy::unwrap_used)]
use super::*;

#[test]
fn buffers_are_zeroed_aligned_and_writable_at_every_size() {
    for len in [0, 1, 15, 16, 17, 4096, (HUGE_PAGE / 4) - 1, HUGE_PAGE / 4, HUGE_PAGE + 3] {
        let mut buffer = Buffer::<f32>::zeroed(len);
        assert_eq!(buffer.len(), len);
        assert!(buffer.iter().all(|number| number.to_bits() == 0));
        assert!(len == 0 || (buffer.as_ptr() as usize).is_multiple_of(LINE));
        buffer.fill(1.5);
        assert!(buffer.iter().all(|number| *number == 1.5));
    }
}

#[test]
#[should_panic(expected = "outside")]
fn a_piece_outside_of_its_slice_is_refused() {
    let mut numbers = [0u8; 8];
    let shared = Shared::new(&mut numbers);
    // SAFETY: the only piece.
    let _ = unsafe { shared.piece(4, 5) };
}
