//! Which document goes next where several tenants wait for room: one queue a tenant, served in
//! turns.
//!
//! A million waiting documents of one tenant delay another tenant's turn no more than one document
//! does.
//!
//! Deficit round robin (Shreedhar and Varghese, SIGCOMM 1995): a turn is worth as many documents of
//! ordinary length as the tenant's weight. A longer document costs more ([`cost_of`]): its tenant
//! saves up turns for it, while others go. An empty queue has no turn and saves nothing.
//!
//! Within a queue the order of each partition of the tenant's topic is kept: a document that is
//! admitted before its predecessor cannot be committed before it, and would take a place in vain.
//! The partition with the highest waiting priority goes first; among equals, the one whose first
//! document came first. So a priority also brings forward the documents before it in its partition,
//! and changes nothing in another tenant's queue.
//!
//! What holds, and is tested:
//! - whenever a document waits whose tenant may go, a document goes;
//! - a tenant that begins to wait lets at most the sum of the others' weights go before it, and of
//!   each other tenant one document that had been saved up for;
//! - of queues that stay full, each gets its weight's share of costs, give or take one turn and one
//!   document.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

/// Tokens of a document of ordinary length: it costs 1.
const TOKENS_PER_COST: f64 = 3_000.0;

/// What a document of so many tokens counts for in turns and quotas: one for each 3,000 tokens or
/// part of them, and at least one.
pub fn cost_of(tokens: f64) -> u32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of floats saturates")]
    let units = (tokens / TOKENS_PER_COST).ceil() as u32;
    units.max(1)
}

/// Waiting items, by tenant.
#[derive(Debug, Clone)]
pub struct TenantQueues<T> {
    by_tenant: BTreeMap<String, TenantQueue<T>>,
    /// The tenants that have a queue; it is the first one's turn.
    turns: VecDeque<String>,
    arrivals: u64,
}

/// The waiting items of one tenant.
#[derive(Debug, Clone)]
struct TenantQueue<T> {
    weight: u32,
    /// What the tenant may spend: what is left of this turn, and what it saved up for its next
    /// item.
    credit: u32,
    /// Whether this turn's worth is in `credit` already.
    in_turn: bool,
    /// The items of each partition, in the order in which they go: by offset, and by arrival where
    /// a record was delivered again.
    waiting: BTreeMap<i32, BTreeMap<(i64, u64), QueuedItem<T>>>,
}

#[derive(Debug, Clone)]
struct QueuedItem<T> {
    priority: i32,
    cost: u32,
    item: T,
}

/// A waiting document's place among those of its tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Partition of its tenant's topic.
    pub partition: i32,
    /// Offset in the partition.
    pub offset: i64,
    /// The document's priority: higher first.
    pub priority: i32,
    /// What it counts for ([`cost_of`]), at least 1.
    pub cost: u32,
}

impl<T> TenantQueue<T> {
    /// The partition whose first item goes next, and that item's cost.
    fn next(&self) -> Option<(i32, u32)> {
        let urgent = |waiting: &BTreeMap<(i64, u64), QueuedItem<T>>| {
            let highest = waiting.values().map(|waiting| waiting.priority).max();
            (highest, waiting.first_key_value().map(|((_, arrival), _)| Reverse(*arrival)))
        };
        let (partition, waiting) = self.waiting.iter().max_by_key(|(_, waiting)| urgent(waiting))?;
        waiting.first_key_value().map(|(_, first)| (*partition, first.cost))
    }

    /// Takes the first item of a partition.
    fn take(&mut self, partition: i32) -> Option<T> {
        let waiting = self.waiting.get_mut(&partition)?;
        let (_, first) = waiting.pop_first()?;
        if waiting.is_empty() {
            self.waiting.remove(&partition);
        }
        Some(first.item)
    }

    /// How many turns until the tenant can pay for its next item, the one that comes included.
    fn turns_to(&self, cost: u32) -> u32 {
        cost.saturating_sub(self.credit).div_ceil(self.weight)
    }

    fn retain(&mut self, mut waits: impl FnMut(&T) -> bool) {
        self.waiting.values_mut().for_each(|partition| partition.retain(|_, waiting| waits(&waiting.item)));
        self.waiting.retain(|_, partition| !partition.is_empty());
    }
}

impl<T> Default for TenantQueues<T> {
    fn default() -> Self {
        Self { by_tenant: BTreeMap::new(), turns: VecDeque::new(), arrivals: 0 }
    }
}

impl<T> TenantQueues<T> {
    /// Adds an item at its place in its tenant's queue, whose turns are worth `weight` from now on.
    pub fn push(&mut self, tenant: &str, weight: u32, place: Place, item: T) {
        let weight = weight.max(1);
        let queue = self.by_tenant.entry(tenant.to_owned()).or_insert_with(|| {
            self.turns.push_back(tenant.to_owned());
            TenantQueue { weight, credit: 0, in_turn: false, waiting: BTreeMap::new() }
        });
        queue.weight = weight;
        let queued = QueuedItem { priority: place.priority, cost: place.cost.max(1), item };
        queue.waiting.entry(place.partition).or_default().insert((place.offset, self.arrivals), queued);
        self.arrivals += 1;
    }

    /// Takes the next item of a tenant that `may` go. A tenant that may not loses the rest of its
    /// turn. `None`: no tenant that may go waits.
    pub fn pop(&mut self, mut may: impl FnMut(&str) -> bool) -> Option<(String, T)> {
        self.pop_in_one_round(&mut may).or_else(|| {
            // Nobody can pay for the next item yet: the turns are skipped that only save up.
            let waits = self.by_tenant.iter().filter(|(tenant, _)| may(tenant));
            let turns = waits.filter_map(|(_, queue)| Some(queue.turns_to(queue.next()?.1))).min()?;
            for queue in self.by_tenant.iter_mut().filter(|(tenant, _)| may(tenant)).map(|(_, queue)| queue) {
                queue.credit = queue.credit.saturating_add(queue.weight.saturating_mul(turns.saturating_sub(1)));
            }
            self.pop_in_one_round(&mut may)
        })
    }

    fn pop_in_one_round(&mut self, may: &mut impl FnMut(&str) -> bool) -> Option<(String, T)> {
        // One visit more than there are tenants: the first may be at the end of its turn.
        for _ in 0..=self.turns.len() {
            let tenant = self.turns.pop_front()?;
            let queue = self.by_tenant.get_mut(&tenant)?;
            if !may(&tenant) {
                queue.in_turn = false;
                queue.credit = 0;
                self.turns.push_back(tenant);
                continue;
            }
            let (partition, cost) = queue.next()?;
            if !queue.in_turn {
                queue.in_turn = true;
                // Nothing is saved beyond the next item: one that was saved up for may have left.
                queue.credit = queue.credit.min(cost - 1).saturating_add(queue.weight);
            }
            let Some(left) = queue.credit.checked_sub(cost) else {
                queue.in_turn = false;
                self.turns.push_back(tenant);
                continue;
            };
            let item = queue.take(partition)?;
            queue.credit = left;
            if queue.waiting.is_empty() {
                self.by_tenant.remove(&tenant);
            } else if left == 0 {
                queue.in_turn = false;
                self.turns.push_back(tenant.clone());
            } else {
                self.turns.push_front(tenant.clone());
            }
            return Some((tenant, item));
        }
        None
    }

    /// Removes the items that do not wait any more.
    pub fn retain(&mut self, mut waits: impl FnMut(&T) -> bool) {
        for queue in self.by_tenant.values_mut() {
            queue.retain(&mut waits);
        }
        self.by_tenant.retain(|_, queue| !queue.waiting.is_empty());
        self.turns.retain(|tenant| self.by_tenant.contains_key(tenant));
    }

    /// Number of waiting items.
    pub fn len(&self) -> usize {
        self.by_tenant.values().flat_map(|queue| queue.waiting.values()).map(BTreeMap::len).sum()
    }

    /// Whether no item waits.
    pub fn is_empty(&self) -> bool {
        self.by_tenant.is_empty()
    }

    /// Number of tenants with waiting items.
    pub fn tenants(&self) -> usize {
        self.by_tenant.len()
    }
}

#[cfg(test)]
mod tests;
