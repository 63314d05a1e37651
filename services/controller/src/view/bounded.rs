//! A map that keeps a bounded number of keys and counts the rest together.

use std::collections::BTreeMap;

/// Sums that can be added up, in any order and grouping.
pub trait Merge: Default {
    /// Adds what another one counted.
    fn merge(&mut self, other: Self);
}

impl Merge for u64 {
    fn merge(&mut self, other: Self) {
        *self = self.saturating_add(other);
    }
}

/// The `MAX` first keys in their order, each with its value, and one value for all others.
///
/// A key that is among the first at the end was so at every time before, when there were fewer: it
/// was never moved to the others. So the map depends on what was counted alone, not on the order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounded<K, V, const MAX: usize> {
    kept: BTreeMap<K, V>,
    other: Option<V>,
}

impl<K, V, const MAX: usize> Default for Bounded<K, V, MAX> {
    fn default() -> Self {
        Self { kept: BTreeMap::new(), other: None }
    }
}

impl<K: Ord, V: Merge, const MAX: usize> Bounded<K, V, MAX> {
    /// The value that counts for this key.
    pub fn slot(&mut self, key: K) -> &mut V {
        let is_full = self.kept.len() >= MAX && !self.kept.contains_key(&key);
        let is_beyond = is_full && self.kept.last_key_value().is_none_or(|(last, _)| key > *last);
        if is_beyond {
            return self.other.get_or_insert_default();
        }
        if is_full && let Some((_, last)) = self.kept.pop_last() {
            self.other.get_or_insert_default().merge(last);
        }
        self.kept.entry(key).or_default()
    }

    /// The keys that are kept, with their values.
    pub fn kept(&self) -> impl Iterator<Item = (&K, &V)> {
        self.kept.iter()
    }

    /// What the other keys have together; `None` where there are none.
    pub fn other(&self) -> Option<&V> {
        self.other.as_ref()
    }
}

impl<K: Ord, V: Merge, const MAX: usize> Merge for Bounded<K, V, MAX> {
    fn merge(&mut self, other: Self) {
        if let Some(others) = other.other {
            self.other.get_or_insert_default().merge(others);
        }
        for (key, value) in other.kept {
            self.slot(key).merge(value);
        }
    }
}
