//! Wait before the next attempt of a request: doubling, bounded, jittered, and never shorter than
//! the provider demands.

use std::time::Duration;

use precis_base::backoff;

/// Longest wait before the second attempt.
const FIRST_BACKOFF: Duration = Duration::from_millis(500);
/// Longest wait before any attempt, unless the provider demands more.
const MAX_BACKOFF: Duration = Duration::from_secs(20);
/// Longest addition to a provider's wait. Requests that were throttled together then do not come
/// back together.
const MAX_EXTRA_WAIT: Duration = Duration::from_secs(1);

/// The wait after failed attempt number `attempt` (from 1). `random` is uniform in 0..1, and half
/// of the wait is jitter. A provider's wait is a floor: a request that comes earlier is refused
/// again and, at some providers, prolongs the wait.
pub fn pause(attempt: u32, floor: Option<Duration>, random: f64) -> Duration {
    let wait = backoff::wait(attempt.saturating_sub(1), FIRST_BACKOFF, MAX_BACKOFF, 1.0 - random);
    match floor {
        Some(floor) => wait.max(floor + floor.mul_f64(random / 10.0).min(MAX_EXTRA_WAIT)),
        None => wait,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(attempt: u32, random: f64) -> u128 {
        pause(attempt, None, random).as_millis()
    }

    #[test]
    fn pauses_double_up_to_a_limit() {
        assert_eq!([1, 2, 3, 4].map(|attempt| millis(attempt, 1.0)), [500, 1000, 2000, 4000]);
        assert_eq!(pause(60, None, 1.0), MAX_BACKOFF);
    }

    #[test]
    fn jitter_shortens_by_half_at_most() {
        assert_eq!([1, 2, 3].map(|attempt| millis(attempt, 0.0)), [250, 500, 1000]);
    }

    #[test]
    fn a_providers_wait_is_never_undercut() {
        for floor in [Duration::ZERO, Duration::from_millis(1), Duration::from_secs(7), Duration::from_mins(10)] {
            for attempt in 1..6 {
                for random in [0.0, 0.5, 0.999] {
                    assert!(pause(attempt, Some(floor), random) >= floor);
                }
            }
        }
        assert!(pause(1, Some(Duration::from_mins(10)), 0.999) <= Duration::from_mins(10) + MAX_EXTRA_WAIT);
    }
}
