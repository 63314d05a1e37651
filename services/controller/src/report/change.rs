//! How the index changed, and whether it fell by more than what is to be found.

use precis_statistics::means::{Difference, Pair, Sample, difference};
use precis_statistics::{Confidence, Interval};
use serde::Serialize;

/// The fall that is to be found, as a share of the baseline's mean.
pub const FALL: f64 = 0.05;

/// The current index less the baseline's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Change {
    /// The difference of the means.
    pub value: f64,
    /// Where the true difference lies, at 95 %.
    pub interval: Interval,
    /// The difference as a share of the baseline's mean.
    pub relative: f64,
    /// Whether the index fell by more than 5 % of the baseline's.
    pub fall: Fall,
}

/// Whether the index fell by more than 5 %.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fall {
    /// The whole interval lies beyond such a fall.
    Proven,
    /// The difference does, its interval does not.
    Likely,
    /// The interval reaches such a fall, the difference does not.
    Possible,
    /// The interval does not reach it.
    Excluded,
}

impl Change {
    /// The change from one sample to another; `None` where one has less than two values.
    pub fn of(from: &Sample, to: &Sample) -> Option<Self> {
        Self::of_pairs(&[Pair { weight: 1.0, from: *from, to: *to }])
    }

    /// The same with the mix held fixed at the weights of these pairs.
    pub(super) fn of_pairs(pairs: &[Pair]) -> Option<Self> {
        let Difference { value, interval } = difference(pairs, Confidence::NINETY_FIVE_PERCENT).ok()?;
        let before: f64 = pairs.iter().map(|pair| pair.weight * pair.from.mean).sum();
        let limit = -FALL * before;
        let fall = match value < limit {
            true if interval.high < limit => Fall::Proven,
            true => Fall::Likely,
            false if interval.low < limit => Fall::Possible,
            false => Fall::Excluded,
        };
        let relative = if before > 0.0 { value / before } else { 0.0 };
        Some(Self { value, interval, relative, fall })
    }
}
