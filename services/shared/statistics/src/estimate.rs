//! One figure of quality with its confidence interval: prediction-powered inference.
//!
//! Labels of people are right and few; scores of a judge or of automatic metrics are many and
//! biased. Prediction-powered inference (Angelopoulos et al. 2023, arXiv 2301.09633) takes the mean
//! of the many and corrects it by what the few labels say about the bias. The result is as right as
//! the labels alone, whatever the bias, and narrower the better the predictions are. Power tuning
//! (PPI++, arXiv 2311.01453) chooses how far to trust the predictions, down to not at all, so that
//! the interval is never much wider than that of the labels alone.
//!
//! - [`ppi_mean`], [`ppi_mean_interval`]: one prediction, one population. Equal to the Python
//!   package `ppi_py`.
//! - [`figure`]: three layers (metrics on everything, a judge on some, people on few), by stratum
//!   (Fisch et al. 2024, arXiv 2406.04291), with sampling probabilities.
//! - [`judged_mean`]: the judge's mean over all documents, from sums over its sample and the mean
//!   of the metrics.
//!
//! # The estimator of three layers
//!
//! In each stratum every document has an automatic score x; those that were judged a score z of the
//! judge; those that were reviewed a label y too. The hash of [`crate::sampling`] parts the
//! documents into three disjoint segments: C reviewed, B judged only, A neither. A document's
//! probabilities of coming into them are p, j - p and 1 - j (p: people's rate, j: judge's). With
//! means in which each document counts by the reciprocal of its segment's probability, the estimate
//! is
//!
//! ```text
//! mean over C of (y - β1 z - (β2 + β3) x)  +  mean over B of (β1 z + β2 x)  +  mean over A of (β3 x)
//! ```
//!
//! **Why it is unbiased.** Each segment is a random sample of the stratum, so z has one expectation
//! over B and C, and x one over A, B and C. For any β given beforehand they cancel, and the
//! expectation of y is left, whatever judge and metrics are worth. β is estimated from the same
//! documents, which leaves a bias of order 1/n that vanishes beside the interval. Below
//! [`MIN_TUNING_LABELS`] labels in a stratum, β comes from all strata together, and below as many
//! in all β is 0: people alone.
//!
//! **Variance.** The segments are disjoint, so their variances add up. β is where their sum is
//! least, which is PPI++'s λ in three dimensions. The interval uses Student's t with the degrees of
//! freedom of Welch and Satterthwaite.
//!
//! **Few labels.** A stratum with fewer than two labels has no variance to be estimated: it counts
//! with everything it could be, 0 to 1. Labels that are all alike, or wholly predicted, have an
//! estimated variance of 0, and that proves no certainty: [`figure`] then allows for as many
//! documents of another kind as such a sample could have missed.
//!
//! **Strata.** Estimates add up by the strata's shares of the documents. A stratum that people
//! never see, such as documents that are not critical where only critical ones are reviewed, is
//! told apart in [`Figure::covered`], and the interval covers whatever its quality is. Who wants
//! the figure of the reviewed part alone passes the strata of that part.

mod coefficients;
mod figure;
mod judged;
mod ppi;
mod segments;

pub use figure::{Figure, figure};
pub use judged::{JudgedMean, JudgedSample, MIN_JUDGED, Products, judged_mean};
pub use ppi::{Power, Predicted, ppi_mean, ppi_mean_interval, ppi_power};
pub use segments::{Layers, Scored};

/// Fewest labels from which the trust in predictions is estimated: three coefficients from fewer
/// would fit chance.
pub const MIN_TUNING_LABELS: usize = 30;
