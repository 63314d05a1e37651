//! chrF2: Popović (2015), "chrF: character n-gram F-score for automatic MT evaluation", as
//! sacreBLEU computes it.

use super::is_python_space;
use crate::ngrams;

/// Longest n-grams.
const MAX_ORDER: usize = 6;
/// β²: recall counts twice as much as precision.
const RECALL_WEIGHT: f64 = 4.0;

/// 0 to 100.
pub(super) fn chrf(reference: &str, summary: &str) -> f64 {
    let characters = |text: &str| text.chars().filter(|c| !is_python_space(*c)).map(u32::from).collect::<Vec<_>>();
    let (mut precision, mut recall, mut orders) = (0.0, 0.0, 0.0);
    for order in ngrams::compare::<MAX_ORDER>(&characters(summary), &characters(reference)) {
        if order.own > 0 && order.other > 0 {
            precision += order.shared as f64 / order.own as f64;
            recall += order.shared as f64 / order.other as f64;
            orders += 1.0;
        }
    }
    if precision + recall == 0.0 {
        return 0.0;
    }
    let (precision, recall): (f64, f64) = (precision / orders, recall / orders);
    100.0 * ((1.0 + RECALL_WEIGHT) * precision * recall / (RECALL_WEIGHT * precision + recall))
}
