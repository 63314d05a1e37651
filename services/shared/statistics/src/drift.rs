//! Whether quality fell, and whether the inputs changed.
//!
//! # Quality: a sequential test with a stated false-alarm rate
//!
//! A mean of the last hour compared with a baseline either misses a fall of 5 % or cries wolf, by
//! the luck of the hour, and how often is not said. [`Cusum`] (Page 1954) adds up, document by
//! document, by how much each is worse than midway between the baseline and the fall that is to be
//! found; a sum below 0 starts again at 0. It alarms when the sum reaches a threshold, which
//! [`Design`] computes from the wanted number of documents between false alarms.
//!
//! ```text
//! Baseline::of(values) ─▶ Design::new(baseline, target) ─▶ Cusum::new(design) ─▶ push(value) ─▶ alarm?
//! ```
//!
//! - The **run length** is the average number of documents from a start to an alarm. In a quiet
//!   series it is what [`Target::documents_between_false_alarms`] says: 720,000 is 30 days at 1,000
//!   documents an hour.
//! - The stated rate holds for values that are independent of each other and distributed as in the
//!   baseline. A series whose mix of types changes with the hour of the day is neither: make one
//!   series of each tier, model, prompt and type.
//! - The state is a few integers and can be stored as JSON and resumed with equal results.
//!
//! # Inputs
//!
//! [`population_stability`] says how far a distribution moved, [`kolmogorov_smirnov`] and
//! [`chi_square`] whether chance explains it, [`adjusted`] corrects for asking about many features
//! at once. With thousands of documents the tests find differences that matter to nobody, so an
//! alarm takes both: a p-value, and a distance that is large.

mod baseline;
mod categories;
mod cusum;
mod design;
mod discoveries;
mod smirnov;
mod stability;

pub use baseline::{Baseline, MIN_BASELINE};
pub use categories::{align, chi_square};
pub use cusum::{Alarm, Cusum};
pub use design::{Design, Direction, Target};
pub use discoveries::adjusted;
pub use smirnov::{kolmogorov_smirnov, kolmogorov_smirnov_of_counts};
pub use stability::{Bins, MAX_BINS, Stability, population_stability};

/// The outcome of a test of two samples.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Comparison {
    /// How far the samples are apart, in the test's own measure.
    pub statistic: f64,
    /// Probability of such a distance or a larger one if both come from one distribution.
    pub p_value: f64,
}
