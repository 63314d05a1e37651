//! What of this machine decides which models it runs, and how fast.

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use precis_kernels::Isa;

pub use crate::engine::available_bytes;

/// Values that each thread reads in a pass: far more than a processor's caches keep.
const VALUES: usize = 12 << 20;
/// Passes over the values; the fastest counts, since others may use the machine.
const PASSES: usize = 4;

/// Name of the fastest instruction set that the kernels have and this processor has.
pub fn instruction_set() -> &'static str {
    Isa::detect().name()
}

/// Threads that the engine uses where nothing else is configured.
pub fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Bytes a second that all cores together read from memory. Takes less than a second and 96 MiB a
/// core.
pub fn memory_bandwidth() -> f64 {
    let threads = threads();
    let barrier = Barrier::new(threads);
    let fastest = thread::scope(|scope| {
        let readers: Vec<_> = (0..threads).map(|_| scope.spawn(|| fastest_pass(&barrier))).collect();
        // All threads pass at the same times, so the slowest one's best is everybody's.
        readers.into_iter().filter_map(|reader| reader.join().ok()).fold(0.0_f64, f64::max)
    });
    (threads * VALUES * size_of::<u64>()) as f64 / fastest.max(1e-9)
}

/// Seconds of the fastest pass of one thread over values of its own.
fn fastest_pass(barrier: &Barrier) -> f64 {
    // Written once, so that each page is there.
    let values: Vec<u64> = (0..VALUES as u64).collect();
    let mut fastest = f64::INFINITY;
    for _ in 0..PASSES {
        barrier.wait();
        let started = Instant::now();
        black_box(values.iter().fold(0_u64, |sum, value| sum.wrapping_add(*value)));
        fastest = fastest.min(started.elapsed().as_secs_f64());
    }
    fastest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_reads_memory_and_has_an_instruction_set() {
        assert!(memory_bandwidth() > 1e6);
        assert!(["avx512", "avx2", "portable"].contains(&instruction_set()));
    }
}
