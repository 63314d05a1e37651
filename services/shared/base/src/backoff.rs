//! Exponential backoff: doubling, cut off, with jitter over its upper half.
//!
//! Without jitter, callers that failed together come back together (Brooker 2015, "Exponential
//! Backoff And Jitter"). At least half of the wait stays, so that a retry never follows at once.

use std::time::Duration;

/// The wait before retry number `retry`, counted from 0: `first` doubled that often, at most `max`,
/// less up to half of it. `jitter` is uniform in 0..1; 0 is the whole wait.
pub fn wait(retry: u32, first: Duration, max: Duration, jitter: f64) -> Duration {
    let doubled = first.saturating_mul(2_u32.saturating_pow(retry.min(20))).min(max);
    doubled.mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(500);
    const MAX: Duration = Duration::from_secs(20);

    #[test]
    fn waits_double_up_to_the_maximum() {
        let waits = [0, 1, 2, 3, 60].map(|retry| wait(retry, FIRST, MAX, 0.0).as_millis());
        assert_eq!(waits, [500, 1_000, 2_000, 4_000, 20_000]);
    }

    #[test]
    fn jitter_takes_half_at_most() {
        assert_eq!(wait(1, FIRST, MAX, 1.0), FIRST);
        assert_eq!(wait(1, FIRST, MAX, 7.0), FIRST);
    }
}
