//! Memory for weights, keys, values and activations: taken once, zeroed, aligned to cache lines.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// Alignment: a cache line and the widest register, so that no load straddles two lines.
const CACHE_LINE: usize = 64;
/// Size of a huge page of x86-64 and most other processors. Buffers of this size and more are
/// allocated in such pages: attention jumps from block to block, and a miss in the page table costs
/// more than the jump.
const HUGE_PAGE: usize = 2 << 20;

mod sealed {
    pub trait Sealed {}
}

/// Numbers whose value is 0 when all their bits are 0.
pub trait Plain: sealed::Sealed + Copy + Send + Sync + 'static {}

macro_rules! plain {
    ($($number:ty),*) => { $(impl sealed::Sealed for $number {} impl Plain for $number {})* };
}
plain!(u8, i8, u16, u32, i32, f32);

/// A slice on the heap that starts at a cache line. Its memory is written at once, so that the
/// system cannot run out of it later.
pub struct Buffer<T: Plain> {
    start: NonNull<T>,
    len: usize,
}

// SAFETY: a buffer owns its memory as a `Vec` does, and `Plain` numbers may go to and be read by
// any thread.
unsafe impl<T: Plain> Send for Buffer<T> {}
// SAFETY: as above.
unsafe impl<T: Plain> Sync for Buffer<T> {}

impl<T: Plain> Buffer<T> {
    /// `len` zeros.
    pub fn zeroed(len: usize) -> Self {
        let Some(layout) = Self::layout(len) else {
            return Self { start: NonNull::dangling(), len: 0 };
        };
        // SAFETY: the layout's size is not zero.
        let memory = unsafe { alloc(layout) };
        let Some(start) = NonNull::new(memory.cast::<T>()) else { handle_alloc_error(layout) };
        #[cfg(target_os = "linux")]
        if layout.size() >= HUGE_PAGE {
            // SAFETY: advice about memory that was just taken; where it is not followed, pages are
            // small.
            unsafe { libc::madvise(memory.cast(), layout.size(), libc::MADV_HUGEPAGE) };
        }
        // SAFETY: the memory is `layout.size()` bytes, of which `T`s need the first `len`; zero
        // bytes are a `Plain` number.
        unsafe { memory.write_bytes(0, layout.size()) };
        Self { start, len }
    }

    /// A copy of the numbers.
    pub fn from_slice(numbers: &[T]) -> Self {
        let mut buffer = Self::zeroed(numbers.len());
        buffer.copy_from_slice(numbers);
        buffer
    }

    fn layout(len: usize) -> Option<Layout> {
        let size = len.checked_mul(size_of::<T>()).expect("a buffer is smaller than the address space");
        let align = if size >= HUGE_PAGE { HUGE_PAGE } else { CACHE_LINE };
        let layout = Layout::from_size_align(size, align).expect("a buffer is smaller than the address space");
        (size > 0).then_some(layout)
    }
}

impl<T: Plain> Drop for Buffer<T> {
    fn drop(&mut self) {
        if let Some(layout) = Self::layout(self.len) {
            // SAFETY: `zeroed` took this memory with the layout that follows from the same length.
            unsafe { dealloc(self.start.as_ptr().cast(), layout) };
        }
    }
}

impl<T: Plain> Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: `start` points to `len` initialised numbers, or is dangling and `len` is 0.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl<T: Plain> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`, and this borrow is the only one.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl<T: Plain> std::fmt::Debug for Buffer<T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Buffer of {}", self.len)
    }
}

/// A mutable slice that several threads write, each in places of its own.
///
/// The caller of the unsafe methods promises that no two threads use one place. The bounds are
/// checked.
pub(crate) struct SharedSlice<'a, T> {
    start: *mut T,
    len: usize,
    owner: std::marker::PhantomData<&'a mut [T]>,
}

// SAFETY: it is a `&mut [T]` in slices; the unsafe methods promise that no slice is handed out
// twice.
unsafe impl<T: Send> Sync for SharedSlice<'_, T> {}

impl<'a, T> SharedSlice<'a, T> {
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        Self { start: slice.as_mut_ptr(), len: slice.len(), owner: std::marker::PhantomData }
    }

    /// The numbers from `at` to `at + len`.
    ///
    /// # Safety
    /// While the slice lives, no other slice that overlaps it does.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    pub(crate) unsafe fn slice(&self, at: usize, len: usize) -> &mut [T] {
        assert!(at <= self.len && len <= self.len - at, "a slice of {len} at {at} is outside of {}", self.len);
        // SAFETY: the slice lies inside the slice that was borrowed for `'a`, and is not aliased by
        // the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(at), len) }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Writes one number.
    ///
    /// # Safety
    /// `at` is below the length, and no other thread reads or writes that number meanwhile.
    #[inline(always)]
    pub(crate) unsafe fn put(&self, at: usize, number: T) {
        // SAFETY: the caller's promise is passed on.
        unsafe { self.put_as(at, number) }
    }

    /// Writes the bytes of a wider number over several neighbouring ones.
    ///
    /// All of these numbers are inside the slice, any bytes are valid for them, and no other thread
    /// reads or writes them meanwhile.
    #[inline(always)]
    pub(crate) unsafe fn put_as<W>(&self, at: usize, number: W) {
        debug_assert!(at + size_of::<W>() / size_of::<T>() <= self.len);
        // SAFETY: inside the slice, by the caller's promise.
        unsafe { self.start.add(at).cast::<W>().write_unaligned(number) }
    }
}

#[cfg(test)]
mod tests;
