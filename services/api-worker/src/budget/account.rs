//! Arithmetic of one budget's window in one instance. Pure: the store's answers are values.
//!
//! The window's money is a line from 0 to the limit, cut into slices that lie end to end. Each
//! slice says where it begins and ends. A limit or a slice size that changes within the window
//! therefore changes no slice that was taken:
//!
//! ```text
//!  0         2         4     5                       limit
//!  ├────0────┼────1────┼──2──┤ not taken yet           │
//!    theirs     ours    ours
//! ```
//!
//! **Invariants.** `reserve` grants only what own slices cover: `owned ≥ settled + reserved` after
//! every grant. A bill above its reservation makes a debt that the next grant must cover first.

use precis_schemas::Usd;
use serde::{Deserialize, Serialize};

/// A slice of a window's money with its owner, as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slice {
    /// The instance that may spend the slice.
    pub owner: String,
    /// Where the slice begins: the end of the slice before it.
    pub from: Usd,
    /// Where the slice ends.
    pub upto: Usd,
}

impl Slice {
    /// Reads a stored slice; `None` for bytes that are no slice of a window's money.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok().filter(|slice: &Self| Usd::ZERO <= slice.from && slice.from <= slice.upto)
    }
}

/// The number of the slice under this key; `None` for the largest number, which no slice can
/// follow.
pub fn number_of(key: &str) -> Option<u32> {
    key.rsplit('/').next().and_then(|number| number.parse().ok()).filter(|number| *number < u32::MAX)
}

/// One budget's window.
#[derive(Debug)]
pub struct Account {
    owner: String,
    /// Number of the first slice that this instance has not read.
    next: u32,
    /// End of the last slice read, in nano-dollars, like all amounts below.
    taken: i64,
    owned: i64,
    reserved: i64,
    settled: i64,
}

impl Account {
    /// The account of an instance that owns and knows no slice yet.
    pub fn new(owner: &str) -> Self {
        Self { owner: owner.to_owned(), next: 0, taken: 0, owned: 0, reserved: 0, settled: 0 }
    }

    /// Sets an amount aside if the own slices cover it.
    pub fn reserve(&mut self, amount: Usd) -> bool {
        let covered = self.covers(amount);
        if covered {
            self.reserved += amount.nanos();
        }
        covered
    }

    /// Replaces a reservation by the real cost.
    pub fn settle(&mut self, reserved: Usd, actual: Usd) {
        self.reserved -= reserved.nanos();
        self.settled = self.settled.saturating_add(actual.nanos());
    }

    /// The slice to create so that `amount` is covered, and its number; `None` when too little of
    /// the window is left.
    pub fn wanted(&self, amount: Usd, limit: Usd, slice: Usd) -> Option<(u32, Slice)> {
        let rest = limit.nanos() - self.taken;
        let missing = amount.nanos().saturating_sub(self.balance());
        if missing > rest {
            return None;
        }
        let upto = self.taken + slice.nanos().max(missing).min(rest);
        let usd = |nanos| Usd::from_nanos(nanos).unwrap_or(Usd::MAX);
        Some((self.next, Slice { owner: self.owner.clone(), from: usd(self.taken), upto: usd(upto) }))
    }

    /// Whether the own slices cover an amount more.
    pub fn covers(&self, amount: Usd) -> bool {
        self.balance() >= amount.nanos()
    }

    /// Records a slice that exists: the next one, or the last of all where none is known yet.
    pub fn learn(&mut self, number: u32, slice: &Slice) {
        debug_assert!(number == self.next || self.next == 0, "slices are learned in order");
        if slice.owner == self.owner {
            self.owned = self.owned.saturating_add(slice.upto.nanos() - slice.from.nanos());
        }
        self.taken = slice.upto.nanos();
        self.next = number.saturating_add(1);
    }

    /// What this instance could spend if it were alone: its own balance, and the untaken rest.
    pub fn left(&self, limit: Usd) -> i64 {
        (limit.nanos() - self.taken).max(0).saturating_add(self.balance())
    }

    /// Own slices less the spent and the reserved amount; below 0 a debt.
    fn balance(&self) -> i64 {
        self.owned.saturating_sub(self.settled).saturating_sub(self.reserved)
    }
}

#[cfg(test)]
mod tests;
