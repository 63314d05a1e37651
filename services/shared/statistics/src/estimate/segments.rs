//! The disjoint segments of a stratum, and the means and covariances of what was scored in each.

use crate::StatisticsError;
use crate::numbers::require_unit;
use crate::sampling::Rate;

/// What was said of a document.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Layers {
    /// Only the automatic score.
    Automatic,
    /// The judge scored it.
    Judged {
        /// The judge's score, 0 to 1.
        judge: f64,
    },
    /// A person reviewed it.
    Reviewed {
        /// The judge's score, 0 to 1; `None` where the judge was not asked or failed.
        judge: Option<f64>,
        /// The person's label, 0 to 1.
        person: f64,
    },
}

/// A document with its scores and the rates at which it could have been chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// The automatic score, 0 to 1: the quality index.
    pub automatic: f64,
    /// What the other layers said.
    pub layers: Layers,
    /// Probability that the document is judged.
    pub judge_rate: Rate,
    /// Probability that it is reviewed. The samples are nested: at most the judge's rate, or the
    /// judge's scores are not used.
    pub person_rate: Rate,
}

impl Scored {
    pub(super) fn check(&self) -> Result<(), StatisticsError> {
        require_unit("an automatic score", self.automatic)?;
        let (judge, person) = match self.layers {
            Layers::Automatic => (None, None),
            Layers::Judged { judge } => (Some(judge), None),
            Layers::Reviewed { judge, person } => (judge, Some(person)),
        };
        judge.map_or(Ok(()), |score| require_unit("a judge's score", score))?;
        person.map_or(Ok(()), |label| require_unit("a person's label", label))
    }
}

/// A segment with a smaller probability counts as empty: its documents' weights have no bound.
pub(super) const LEAST_RATE: f64 = 1e-9;

/// Label, judge's score and automatic score of a document; 0 where a segment has none.
type Values = [f64; 3];

/// Weighted means of a segment's values, and the covariances of these means.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Moments {
    /// Documents.
    pub(super) count: usize,
    pub(super) means: Values,
    /// Covariance matrix of `means`: for equal weights that of the values, divided by the count.
    pub(super) covariances: [Values; 3],
}

impl Moments {
    /// `documents`: values and weight of each.
    fn of(documents: &[(Values, f64)]) -> Self {
        let count = documents.len();
        let total: f64 = documents.iter().map(|(_, weight)| weight).sum();
        let mut moments = Self { count, ..Self::default() };
        for (values, weight) in documents {
            for (mean, value) in moments.means.iter_mut().zip(values) {
                *mean += weight / total * value;
            }
        }
        if count < 2 {
            return moments;
        }
        let correction = count as f64 / (count as f64 - 1.0);
        for (values, weight) in documents {
            let share = (weight / total).powi(2) * correction;
            for row in 0..3 {
                for column in 0..3 {
                    moments.covariances[row][column] +=
                        share * (values[row] - moments.means[row]) * (values[column] - moments.means[column]);
                }
            }
        }
        moments
    }

    /// Mean of the combination of values with these coefficients.
    pub(super) fn mean(&self, coefficients: Values) -> f64 {
        self.means.iter().zip(coefficients).map(|(mean, coefficient)| mean * coefficient).sum()
    }

    /// Variance of that mean.
    pub(super) fn variance(&self, coefficients: Values) -> f64 {
        let row =
            |row: &Values| row.iter().zip(coefficients).map(|(value, coefficient)| value * coefficient).sum::<f64>();
        let sum: f64 =
            self.covariances.iter().zip(coefficients).map(|(values, coefficient)| coefficient * row(values)).sum();
        sum.max(0.0)
    }
}

/// The three segments of a stratum: see [`crate::estimate`]. One that cannot be used is empty.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Segments {
    /// C: reviewed.
    pub(super) reviewed: Moments,
    /// B: judged only.
    pub(super) judged: Moments,
    /// A: neither.
    pub(super) automatic: Moments,
}

impl Segments {
    pub(super) fn of(documents: &[Scored]) -> Self {
        let is_nested = |document: &Scored| {
            let lacks_judge = matches!(document.layers, Layers::Reviewed { judge: None, .. });
            !lacks_judge && document.person_rate <= document.judge_rate
        };
        // Without the judge's scores of the reviewed, the judge's other scores say nothing.
        let uses_judge = documents.iter().all(is_nested);
        let (mut reviewed, mut judged, mut automatic) = (Vec::new(), Vec::new(), Vec::new());
        // A segment that some document could never come into is no sample of the stratum.
        let (mut may_judge, mut may_not) = (uses_judge, true);
        for document in documents {
            let (person_rate, judge_rate) = (document.person_rate.value(), document.judge_rate.value());
            let neither = 1.0 - if uses_judge { judge_rate } else { person_rate };
            may_judge &= judge_rate - person_rate > LEAST_RATE;
            may_not &= neither > LEAST_RATE;
            match document.layers {
                Layers::Reviewed { judge, person } => {
                    let values = [person, if uses_judge { judge.unwrap_or_default() } else { 0.0 }, document.automatic];
                    reviewed.push((values, 1.0 / person_rate));
                }
                Layers::Judged { judge } if uses_judge => {
                    judged.push(([0.0, judge, document.automatic], 1.0 / (judge_rate - person_rate)));
                }
                _ => automatic.push(([0.0, 0.0, document.automatic], 1.0 / neither)),
            }
        }
        let usable = |documents: Vec<_>, may: bool| {
            if may && documents.len() > 1 { Moments::of(&documents) } else { Moments::default() }
        };
        Self {
            reviewed: Moments::of(&reviewed),
            judged: usable(judged, may_judge),
            automatic: usable(automatic, may_not),
        }
    }
}
