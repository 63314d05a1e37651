//! Who goes next among those that wait for room: one lane a tenant, served by turns, so that a
//! million documents of one tenant stand between another and its turn no more than one does.
//!
//! Deficit round robin (Shreedhar and Varghese, SIGCOMM 1995) where everything has the size 1: a
//! turn is as many as the tenant's weight, a lane that is empty has none.
//!
//! Within a lane the order of each partition of the tenant's topic is kept: what is let in before
//! its predecessor cannot be committed before it, and would take a place in vain. Of the partitions
//! the one goes first in which the highest priority waits, and of equals the one whose first came
//! first. So a priority brings forward what stands before it, too, and moves nothing in another
//! tenant's lane.
//!
//! What holds, and the tests ask for:
//! - whenever somebody waits who may go, somebody goes;
//! - who begins to wait lets at most the sum of the others' weights before it;
//! - of lanes that stay full, each gets its weight's share, give or take one turn.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

/// Those that wait, by tenant.
#[derive(Debug, Clone)]
pub struct Lanes<T> {
    by_tenant: BTreeMap<String, Lane<T>>,
    /// The tenants that have a lane; the first one's turn it is.
    turns: VecDeque<String>,
    arrivals: u64,
}

#[derive(Debug, Clone)]
struct Lane<T> {
    weight: u32,
    /// How many may still go in this turn.
    left: u32,
    /// By partition, and there in the order in which they go: by offset, and by arrival where a
    /// record came again.
    waiting: BTreeMap<i32, BTreeMap<(i64, u64), Waiting<T>>>,
}

#[derive(Debug, Clone)]
struct Waiting<T> {
    priority: i32,
    item: T,
}

/// Where a document stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Partition of its tenant's topic.
    pub partition: i32,
    /// Offset there.
    pub offset: i64,
    /// Its own: higher first.
    pub priority: i32,
}

impl<T> Lane<T> {
    fn pop(&mut self) -> Option<T> {
        let urgent = |waiting: &BTreeMap<(i64, u64), Waiting<T>>| {
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

impl<T> Default for Lanes<T> {
    fn default() -> Self {
        Self { by_tenant: BTreeMap::new(), turns: VecDeque::new(), arrivals: 0 }
    }
}

impl<T> Lanes<T> {
    /// Adds one at its place in its tenant's lane, whose turns are of `weight` from now on.
    pub fn push(&mut self, tenant: &str, weight: u32, place: Place, item: T) {
        let weight = weight.max(1);
        let lane = self.by_tenant.entry(tenant.to_owned()).or_insert_with(|| {
            self.turns.push_back(tenant.to_owned());
            Lane { weight, left: weight, waiting: BTreeMap::new() }
        });
        lane.weight = weight;
        lane.left = lane.left.min(weight);
        let waiting = Waiting { priority: place.priority, item };
        lane.waiting.entry(place.partition).or_default().insert((place.offset, self.arrivals), waiting);
        self.arrivals += 1;
    }

    /// The next one, of a tenant that `may` go. Who may not loses what is left of its turn. `None`:
    /// none waits that may.
    pub fn pop(&mut self, mut may: impl FnMut(&str) -> bool) -> Option<(String, T)> {
        for _ in 0..self.turns.len() {
            let tenant = self.turns.pop_front()?;
            let lane = self.by_tenant.get_mut(&tenant)?;
            if !may(&tenant) {
                lane.left = lane.weight;
                self.turns.push_back(tenant);
                continue;
            }
            let item = lane.pop()?;
            lane.left -= 1;
            if lane.waiting.is_empty() {
                self.by_tenant.remove(&tenant);
            } else if lane.left == 0 {
                lane.left = lane.weight;
                self.turns.push_back(tenant.clone());
            } else {
                self.turns.push_front(tenant.clone());
            }
            return Some((tenant, item));
        }
        None
    }

    /// Forgets those that do not wait any more.
    pub fn retain(&mut self, mut waits: impl FnMut(&T) -> bool) {
        for lane in self.by_tenant.values_mut() {
            lane.retain(&mut waits);
        }
        self.by_tenant.retain(|_, lane| !lane.waiting.is_empty());
        self.turns.retain(|tenant| self.by_tenant.contains_key(tenant));
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.by_tenant.values().flat_map(|lane| lane.waiting.values()).map(BTreeMap::len).sum()
    }

    /// Whether none does.
    pub fn is_empty(&self) -> bool {
        self.by_tenant.is_empty()
    }

    /// How many tenants they belong to.
    pub fn tenants(&self) -> usize {
        self.by_tenant.len()
    }
}

#[cfg(test)]
mod tests;
