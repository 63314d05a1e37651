//! Which document goes next where several tenants wait for room: one queue a tenant, served in
//! turns.
//!
//! A million waiting documents of one tenant delay another tenant's turn no more than one document
//! does.
//!
//! Deficit round robin (Shreedhar and Varghese, SIGCOMM 1995) with items of size 1: a turn is as
//! many documents as the tenant's weight, and an empty queue has no turn.
//!
//! Within a queue the order of each partition of the tenant's topic is kept: a document that is
//! admitted before its predecessor cannot be committed before it, and would take a place in vain.
//! The partition with the highest waiting priority goes first; among equals, the one whose first
//! document came first. So a priority also brings forward the documents before it in its partition,
//! and changes nothing in another tenant's queue.
//!
//! What holds, and is tested:
//! - whenever a document waits whose tenant may go, a document goes;
//! - a tenant that begins to wait lets at most the sum of the others' weights go before it;
//! - of queues that stay full, each gets its weight's share, give or take one turn.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

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
    /// How many more items may go in this turn.
    left: u32,
    /// The items of each partition, in the order in which they go: by offset, and by arrival where
    /// a record was delivered again.
    waiting: BTreeMap<i32, BTreeMap<(i64, u64), QueuedItem<T>>>,
}

#[derive(Debug, Clone)]
struct QueuedItem<T> {
    priority: i32,
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
}

impl<T> TenantQueue<T> {
    fn pop(&mut self) -> Option<T> {
        let urgent = |waiting: &BTreeMap<(i64, u64), QueuedItem<T>>| {
            let highest = waiting.values().map(|waiting| waiting.priority).max();
            (highest, waiting.first_key_value().map(|((_, arrival), _)| Reverse(*arrival)))
        };
        let next = self.waiting.iter().max_by_key(|(_, waiting)| urgent(waiting)).map(|(partition, _)| *partition)?;
        let partition = self.waiting.get_mut(&next)?;
        let (_, first) = partition.pop_first()?;
        if partition.is_empty() {
            self.waiting.remove(&next);
        }
        Some(first.item)
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
    /// Adds an item at its place in its tenant's queue, whose turns have `weight` items from now
    /// on.
    pub fn push(&mut self, tenant: &str, weight: u32, place: Place, item: T) {
        let weight = weight.max(1);
        let queue = self.by_tenant.entry(tenant.to_owned()).or_insert_with(|| {
            self.turns.push_back(tenant.to_owned());
            TenantQueue { weight, left: weight, waiting: BTreeMap::new() }
        });
        queue.weight = weight;
        queue.left = queue.left.min(weight);
        let queued = QueuedItem { priority: place.priority, item };
        queue.waiting.entry(place.partition).or_default().insert((place.offset, self.arrivals), queued);
        self.arrivals += 1;
    }

    /// Takes the next item of a tenant that `may` go. A tenant that may not loses the rest of its
    /// turn. `None`: no tenant that may go waits.
    pub fn pop(&mut self, mut may: impl FnMut(&str) -> bool) -> Option<(String, T)> {
        for _ in 0..self.turns.len() {
            let tenant = self.turns.pop_front()?;
            let queue = self.by_tenant.get_mut(&tenant)?;
            if !may(&tenant) {
                queue.left = queue.weight;
                self.turns.push_back(tenant);
                continue;
            }
            let item = queue.pop()?;
            queue.left -= 1;
            if queue.waiting.is_empty() {
                self.by_tenant.remove(&tenant);
            } else if queue.left == 0 {
                queue.left = queue.weight;
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
