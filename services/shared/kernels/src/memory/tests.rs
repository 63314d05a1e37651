#![allow(clippy::unwrap_used)]
use super::*;

#[test]
fn buffers_are_zeroed_aligned_and_writable_at_every_size() {
    for len in [0, 1, 15, 16, 17, 4096, (HUGE_PAGE / 4) - 1, HUGE_PAGE / 4, HUGE_PAGE + 3] {
        let mut buffer = Buffer::<f32>::zeroed(len);
        assert_eq!(buffer.len(), len);
        assert!(buffer.iter().all(|number| number.to_bits() == 0));
        assert!(len == 0 || (buffer.as_ptr() as usize).is_multiple_of(CACHE_LINE));
        buffer.fill(1.5);
        assert!(buffer.iter().all(|number| *number == 1.5));
    }
}

#[test]
#[should_panic(expected = "outside")]
fn a_slice_outside_of_its_owner_is_refused() {
    let mut numbers = [0u8; 8];
    let shared = SharedSlice::new(&mut numbers);
    // SAFETY: the only slice.
    let _ = unsafe { shared.slice(4, 5) };
}
