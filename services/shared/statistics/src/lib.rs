//! The statistics of quality: how good, how sure, what changed, and why.
//!
//! All functions are pure: no input or output, no clock, no randomness of their own. The same
//! values give the same answer, so a figure or an alarm can be computed again later. Time is linear
//! in the number of values, or n log n. A value that is not finite is refused with an error, and no
//! input causes a panic.
//!
//! - [`sampling`]: who is judged and who is reviewed, by a hash of the identity; it says with which
//!   probability.
//! - [`estimate`]: one figure with its confidence interval from metrics on every document, a judge
//!   on some, people on few (prediction-powered inference).
//! - [`acceptance`]: the threshold of a check under which at most a stated share of the accepted
//!   summaries is bad, with stated confidence.
//! - [`drift`]: an alarm with a stated false-alarm rate when quality falls, and tests whether the
//!   inputs changed.
//! - [`cause`]: what an alarm comes from, given which tests moved.
//! - [`agreement`]: how far two raters agree.
//! - [`means`]: means and their differences with intervals, the mix held fixed where it is asked
//!   for.
//! - [`weights`]: the weights of an index, refitted to labels.

pub mod acceptance;
pub mod agreement;
pub mod cause;
pub mod drift;
mod error;
pub mod estimate;
pub mod means;
mod numbers;
pub mod sampling;
mod special;
pub mod weights;

#[cfg(test)]
mod testing;

pub use error::StatisticsError;
pub use numbers::{Confidence, Interval};
