//! Weights of an index, fitted to labels: each at least 0, together 1.
//!
//! The index of a row is the weighted mean of the parts that were measured on it. [`fit`] finds the
//! weights whose indices are nearest to the labels, by least squares with a pull to the weights in
//! use (`PULL`): a part that never varied, or that only repeats another, keeps its weight, and
//! few labels change little.
//!
//! The index is linear in the weights where every part was measured, and nearly so elsewhere.
//! Gauss and Newton's steps are taken, each to the least of a quadratic function over the simplex,
//! which is found by projected gradients with momentum (Beck and Teboulle 2009). Nothing is drawn
//! by chance: equal rows give equal weights.
//!
//! [`cross_validated`] says what a fit is worth on labels that it did not see.

use crate::StatisticsError;
use crate::numbers::{require_count, require_equal_lengths, require_unit};

/// Fewest labels of a fit: ten for each part of the quality index.
pub const MIN_LABELS: usize = 100;

/// Most parts of an index.
pub const MAX_PARTS: usize = 64;

/// What a squared distance from the weights in use costs, in squared errors of labels. A part whose
/// values have a deviation of 0.2 is pulled as strongly by 25 labels.
const PULL: f64 = 1.0;

/// Parts of the labels that are held out in turn.
const FOLDS: usize = 5;

/// Most steps of Gauss and Newton; without missing parts one is enough.
const MAX_STEPS: usize = 50;

/// Most steps to the least of one quadratic function.
const MAX_GRADIENTS: usize = 100_000;

/// A step that changes no weight by more is the last.
const PRECISION: f64 = 1e-12;

/// A summary with its label.
#[derive(Debug, Clone, PartialEq)]
pub struct Labelled {
    /// Each part of the index, 0 to 1; `None` where it was not measured.
    pub parts: Vec<Option<f64>>,
    /// The label: 0 is bad, 1 is good.
    pub label: f64,
}

impl Labelled {
    /// The index with these weights; `None` where no part with a weight was measured.
    pub fn index(&self, weights: &[f64]) -> Option<f64> {
        let (sum, all) = self.sums(weights);
        (all > 0.0).then(|| sum / all)
    }

    /// The measured parts by their weights, and the sum of these weights.
    fn sums(&self, weights: &[f64]) -> (f64, f64) {
        let measured = self.parts.iter().zip(weights).filter_map(|(part, weight)| Some(((*part)?, *weight)));
        measured.fold((0.0, 0.0), |(sum, all), (part, weight)| (sum + part * weight, all + weight))
    }

    /// How far the index is from the label. A row without an index is as far off as can be, so that
    /// no fit gets rid of rows.
    fn error(&self, weights: &[f64]) -> f64 {
        self.index(weights).map_or(1.0, |index| index - self.label)
    }
}

/// Root mean square errors of the index, beside labels that the weights were not fitted to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Errors {
    /// With the weights in use.
    pub before: f64,
    /// With weights that were fitted to the other labels.
    pub after: f64,
}

/// The weights nearest to the labels; `in_use`: the weights that they are pulled to.
///
/// A part that less than half of the rows have gets the weight 0.
///
/// # Errors
/// `too_few_values` below [`MIN_LABELS`] rows; `lengths_differ` for a row of other parts;
/// `value_out_of_range` for a part, label or weight outside of 0 to 1 (weights: from 0), or more
/// than [`MAX_PARTS`]; `figure_undefined` where no part is measured often enough.
pub fn fit(rows: &[Labelled], in_use: &[f64]) -> Result<Vec<f64>, StatisticsError> {
    require_count("labels", rows.len(), MIN_LABELS)?;
    check(rows, in_use)?;
    fitted(rows, in_use)
}

/// What a fit is worth: each fifth of the rows in turn is compared with a fit to the others.
///
/// # Errors
/// Those of [`fit`].
pub fn cross_validated(rows: &[Labelled], in_use: &[f64]) -> Result<Errors, StatisticsError> {
    require_count("labels", rows.len(), MIN_LABELS)?;
    check(rows, in_use)?;
    let (mut before, mut after) = (0.0, 0.0);
    for fold in 0..FOLDS {
        let seen: Vec<Labelled> = part_of(rows, |position| position % FOLDS != fold).cloned().collect();
        let weights = fitted(&seen, in_use)?;
        for row in part_of(rows, |position| position % FOLDS == fold) {
            before += row.error(in_use).powi(2);
            after += row.error(&weights).powi(2);
        }
    }
    let root = |sum: f64| (sum / rows.len() as f64).sqrt();
    Ok(Errors { before: root(before), after: root(after) })
}

fn part_of(rows: &[Labelled], wanted: impl Fn(usize) -> bool) -> impl Iterator<Item = &Labelled> {
    rows.iter().enumerate().filter(move |(position, _)| wanted(*position)).map(|(_, row)| row)
}

fn check(rows: &[Labelled], in_use: &[f64]) -> Result<(), StatisticsError> {
    if in_use.len() > MAX_PARTS {
        let value = in_use.len() as f64;
        return Err(StatisticsError::OutOfRange { what: "the number of parts", value, allowed: "at most 64" });
    }
    for weight in in_use {
        if !(weight.is_finite() && *weight >= 0.0) {
            return Err(StatisticsError::OutOfRange { what: "a weight", value: *weight, allowed: "0 or more" });
        }
    }
    for row in rows {
        require_equal_lengths("the parts of a row and the weights", row.parts.len(), in_use.len())?;
        require_unit("a label", row.label)?;
        for part in row.parts.iter().flatten() {
            require_unit("a part", *part)?;
        }
    }
    Ok(())
}

/// The fit to checked rows, however many.
fn fitted(rows: &[Labelled], in_use: &[f64]) -> Result<Vec<f64>, StatisticsError> {
    let often = |part: &usize| 2 * rows.iter().filter(|row| row.parts[*part].is_some()).count() >= rows.len();
    let used: Vec<usize> = (0..in_use.len()).filter(often).collect();
    if used.is_empty() {
        return Err(StatisticsError::Undefined { what: "the weights", why: "most rows lack every part" });
    }
    let rows: Vec<Labelled> = rows
        .iter()
        .map(|row| Labelled { parts: used.iter().map(|part| row.parts[*part]).collect(), label: row.label })
        .collect();
    let total: f64 = used.iter().map(|part| in_use[*part]).sum();
    let even = 1.0 / used.len() as f64;
    let start: Vec<f64> = used.iter().map(|part| if total > 0.0 { in_use[*part] / total } else { even }).collect();
    let found = gauss_newton(&rows, &start);
    let mut weights = vec![0.0; in_use.len()];
    for (part, weight) in used.into_iter().zip(found) {
        weights[part] = weight;
    }
    Ok(weights)
}

fn gauss_newton(rows: &[Labelled], start: &[f64]) -> Vec<f64> {
    let cost = |weights: &[f64]| {
        let errors: f64 = rows.iter().map(|row| row.error(weights).powi(2)).sum();
        errors + PULL * weights.iter().zip(start).map(|(weight, start)| (weight - start).powi(2)).sum::<f64>()
    };
    let mut weights = start.to_vec();
    let mut least = cost(&weights);
    for _ in 0..MAX_STEPS {
        let goal = Quadratic::around(rows, &weights, start).least(&weights);
        // The whole step, or the largest half of it that is better.
        let mut share = 1.0;
        let better = loop {
            let next: Vec<f64> = weights.iter().zip(&goal).map(|(from, to)| from + share * (to - from)).collect();
            let found = cost(&next);
            if found < least {
                break Some((next, found));
            }
            share *= 0.5;
            if share < PRECISION {
                break None;
            }
        };
        let Some((next, found)) = better else { break };
        let change = weights.iter().zip(&next).map(|(from, to)| (from - to).abs()).fold(0.0, f64::max);
        (weights, least) = (next, found);
        if change < PRECISION {
            break;
        }
    }
    weights
}

/// The cost around some weights, but for a constant: ½ wᵀ matrix w - vectorᵀ w.
struct Quadratic {
    matrix: Vec<Vec<f64>>,
    vector: Vec<f64>,
}

impl Quadratic {
    fn around(rows: &[Labelled], weights: &[f64], start: &[f64]) -> Self {
        let parts = weights.len();
        let mut matrix = vec![vec![0.0; parts]; parts];
        let mut vector: Vec<f64> = start.iter().map(|start| PULL * start).collect();
        (0..parts).for_each(|part| matrix[part][part] = PULL);
        let mut slopes = vec![0.0; parts];
        for row in rows {
            let (sum, all) = row.sums(weights);
            if all <= 0.0 {
                continue;
            }
            let index = sum / all;
            for (slope, part) in slopes.iter_mut().zip(&row.parts) {
                *slope = part.map_or(0.0, |part| (part - index) / all);
            }
            // The label as the linear function sees it from the origin.
            let aim = row.label - index + slopes.iter().zip(weights).map(|(slope, weight)| slope * weight).sum::<f64>();
            for (own, line) in slopes.iter().zip(&mut matrix) {
                line.iter_mut().zip(&slopes).for_each(|(cell, other)| *cell += own * other);
            }
            vector.iter_mut().zip(&slopes).for_each(|(cell, slope)| *cell += slope * aim);
        }
        Self { matrix, vector }
    }

    /// The least over the simplex.
    fn least(&self, start: &[f64]) -> Vec<f64> {
        // The trace is at least the largest eigenvalue, so no step is too long.
        let step = 1.0 / (0..start.len()).map(|part| self.matrix[part][part]).sum::<f64>();
        let mut weights = start.to_vec();
        let (mut ahead, mut momentum) = (weights.clone(), 1.0_f64);
        for _ in 0..MAX_GRADIENTS {
            let next =
                on_simplex(ahead.iter().zip(self.gradient(&ahead)).map(|(at, slope)| at - step * slope).collect());
            let moved: Vec<f64> = next.iter().zip(&weights).map(|(to, from)| to - from).collect();
            let change = moved.iter().fold(0.0, |most: f64, by| most.max(by.abs()));
            // Against the slope momentum leads away, and starts again.
            let against = self.gradient(&ahead).iter().zip(&moved).map(|(slope, by)| slope * by).sum::<f64>() > 0.0;
            let grown = if against { 1.0 } else { f64::midpoint(1.0, (1.0 + 4.0 * momentum * momentum).sqrt()) };
            let carry = if against { 0.0 } else { (momentum - 1.0) / grown };
            ahead = next.iter().zip(&moved).map(|(at, by)| at + carry * by).collect();
            (weights, momentum) = (next, grown);
            if change < PRECISION * step.clamp(1e-4, 1.0) {
                break;
            }
        }
        weights
    }

    fn gradient(&self, at: &[f64]) -> Vec<f64> {
        let product = |line: &Vec<f64>| line.iter().zip(at).map(|(cell, weight)| cell * weight).sum::<f64>();
        self.matrix.iter().zip(&self.vector).map(|(line, aim)| product(line) - aim).collect()
    }
}

/// The nearest point with coordinates of at least 0 that add up to 1 (Duchi et al., ICML 2008).
fn on_simplex(point: Vec<f64>) -> Vec<f64> {
    let mut falling = point.clone();
    falling.sort_by(|a, b| b.total_cmp(a));
    let (mut sum, mut shift) = (0.0, 0.0);
    for (position, value) in falling.iter().enumerate() {
        sum += value;
        let own = (sum - 1.0) / (position + 1) as f64;
        if own < *value {
            shift = own;
        }
    }
    point.into_iter().map(|value| (value - shift).max(0.0)).collect()
}

#[cfg(test)]
mod tests;
