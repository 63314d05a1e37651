//! N-grams: which of them two texts share. Linear in both texts.

use std::collections::HashMap;
use std::hash::Hash;

/// Number of n-grams of a text of `length` tokens.
pub(crate) fn count(length: usize, n: usize) -> usize {
    (length + 1).saturating_sub(n)
}

/// Number of n-grams that two texts share: each counts as often as it occurs in the text that has
/// it less often.
pub(crate) fn shared<T: Eq + Hash>(one: &[T], other: &[T], n: usize) -> usize {
    let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    let mut left: HashMap<&[T], usize> = HashMap::with_capacity(count(short.len(), n));
    for gram in short.windows(n) {
        *left.entry(gram).or_default() += 1;
    }
    let mut taken = 0;
    for gram in long.windows(n) {
        if let Some(times) = left.get_mut(gram).filter(|times| **times > 0) {
            *times -= 1;
            taken += 1;
        }
    }
    taken
}

/// Share of the n-grams of `text` that do not occur in `source`; `None` for a text without any.
pub(crate) fn novel_share<T: Eq + Hash>(text: &[T], source: &[T], n: usize) -> Option<f64> {
    let all = count(text.len(), n);
    if all == 0 {
        return None;
    }
    let mut found: HashMap<&[T], bool> = text.windows(n).map(|gram| (gram, false)).collect();
    for gram in source.windows(n) {
        if let Some(found) = found.get_mut(gram) {
            *found = true;
        }
    }
    let novel = text.windows(n).filter(|gram| !found.get(gram).copied().unwrap_or_default()).count();
    Some(novel as f64 / all as f64)
}
