//! Log-probabilities of an answer: the model's certainty.

/// The quantiles that are reported: of the least certain tokens, and the median.
const QUANTILES: [f64; 3] = [0.05, 0.10, 0.50];

/// The 5 %, 10 % and 50 % quantiles (nearest rank) of log-probabilities; `None` if there are none.
pub(crate) fn quantiles(logprobs: &[f32]) -> Option<[f64; 3]> {
    if logprobs.is_empty() {
        return None;
    }
    let mut sorted = logprobs.to_vec();
    sorted.sort_by(f32::total_cmp);
    Some(QUANTILES.map(|quantile| {
        let rank = (quantile * sorted.len() as f64).ceil() as usize;
        f64::from(sorted[rank.clamp(1, sorted.len()) - 1])
    }))
}

/// The mean of log-probabilities, which is the logarithm of their geometric mean; `None` if there
/// are none.
pub(crate) fn mean(logprobs: &[f32]) -> Option<f64> {
    let sum: f64 = logprobs.iter().copied().map(f64::from).sum();
    (!logprobs.is_empty()).then(|| sum / logprobs.len() as f64)
}

#[cfg(test)]
mod tests;
