//! How far judge and metrics are trusted: the coefficients with the least variance.

use super::segments::Segments;

/// β of the estimator: see [`crate::estimate`].
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Coefficients {
    /// Trust in the judge.
    judge: f64,
    /// Trust in the automatic scores of the judged documents.
    automatic_judged: f64,
    /// Trust in the automatic scores of the others.
    automatic: f64,
}

/// A pivot below this share of its diagonal is rounding: that direction carries no information.
const NEGLIGIBLE: f64 = 1e-10;

/// The variance of an estimate as a quadratic function of β, but for a constant: βᵀ M β - 2 vᵀ β.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Quadratic {
    matrix: [[f64; 3]; 3],
    vector: [f64; 3],
}

impl Quadratic {
    /// The variance of one stratum's estimate.
    pub(super) fn of(segments: &Segments) -> Self {
        // What each coefficient multiplies in a segment: the judge's score (1), the automatic (2).
        let parts = [
            (&segments.reviewed, [Some(1), Some(2), Some(2)]),
            (&segments.judged, [Some(1), Some(2), None]),
            (&segments.automatic, [None, None, Some(2)]),
        ];
        let usable = [segments.judged.count > 1, segments.judged.count > 1, segments.automatic.count > 1];
        let mut sum = Self::default();
        for (moments, values) in parts {
            for row in (0..3).filter(|row| usable[*row]) {
                let Some(left) = values[row] else { continue };
                for column in (0..3).filter(|column| usable[*column]) {
                    let Some(right) = values[column] else { continue };
                    sum.matrix[row][column] += moments.covariances[left][right];
                }
                sum.vector[row] += moments.covariances[left][0];
            }
        }
        sum
    }

    /// Adds `other`, `times` over.
    pub(super) fn add(&mut self, other: &Self, times: f64) {
        for (own, others) in self.matrix.as_flattened_mut().iter_mut().zip(other.matrix.as_flattened()) {
            *own += times * others;
        }
        for (own, others) in self.vector.iter_mut().zip(other.vector) {
            *own += times * others;
        }
    }

    /// The least of the function, by Gauss's elimination with the largest diagonal first.
    ///
    /// A direction without information gets the coefficient 0. Returns also how many others there
    /// are.
    pub(super) fn least(&self) -> (Coefficients, usize) {
        let (mut matrix, mut vector) = (self.matrix, self.vector);
        let mut pivots = Vec::new();
        for _ in 0..3 {
            let left = (0..3).filter(|row| !pivots.contains(row) && self.matrix[*row][*row] > 0.0);
            let share = |row: &usize| matrix[*row][*row] / self.matrix[*row][*row];
            let Some(pivot) = left.max_by(|a, b| share(a).total_cmp(&share(b))) else { break };
            if share(&pivot) < NEGLIGIBLE {
                break;
            }
            pivots.push(pivot);
            let own = matrix[pivot];
            for row in (0..3).filter(|row| *row != pivot) {
                let factor = matrix[row][pivot] / own[pivot];
                for (value, other) in matrix[row].iter_mut().zip(own) {
                    *value -= factor * other;
                }
                vector[row] -= factor * vector[pivot];
            }
        }
        let value = |row: usize| if pivots.contains(&row) { vector[row] / matrix[row][row] } else { 0.0 };
        (Coefficients { judge: value(0), automatic_judged: value(1), automatic: value(2) }, pivots.len())
    }
}

impl Coefficients {
    /// The coefficients without those that the stratum has no documents for.
    pub(super) fn usable_in(self, segments: &Segments) -> Self {
        let only = |usable: bool, value: f64| if usable { value } else { 0.0 };
        Self {
            judge: only(segments.judged.count > 1, self.judge),
            automatic_judged: only(segments.judged.count > 1, self.automatic_judged),
            automatic: only(segments.automatic.count > 1, self.automatic),
        }
    }

    /// Coefficients of label, judge's score and automatic score over the reviewed documents.
    pub(super) fn reviewed(self) -> [f64; 3] {
        [1.0, -self.judge, -(self.automatic_judged + self.automatic)]
    }

    /// The same over the judged documents.
    pub(super) fn judged(self) -> [f64; 3] {
        [0.0, self.judge, self.automatic_judged]
    }

    /// The same over the others.
    pub(super) fn automatic(self) -> [f64; 3] {
        [0.0, 0.0, self.automatic]
    }

    /// How far apart two documents' residuals can be, at most.
    pub(super) fn range(self) -> f64 {
        1.0 + self.judge.abs() + (self.automatic_judged + self.automatic).abs()
    }
}

#[cfg(test)]
mod tests;
