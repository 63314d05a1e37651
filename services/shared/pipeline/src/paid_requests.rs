//! How many requests one tier may send to its provider for one document, over all deliveries and
//! processes.
//!
//! ```text
//!  begin ─▶ marker 0, 1, … created ─▶ request ─┬─ answer ─▶ answer stored ─▶ clear: all markers removed
//!    │                                         ├─ surely not billed ─▶ withdraw: its marker removed
//!    └─ all there ─▶ spent: nothing is sent    ├─ unreadable ─▶ noted: one more request at most
//!                                              └─ any other failure, or a crash: the marker stays
//! ```
//!
//! A marker is an object that is created before its request leaves: whatever happens then, the next
//! delivery finds it. The policy says how many there may be (`max_paid_requests` of a tier). A
//! complete answer that cannot be read is noted, too, since the next is most likely the same: after
//! the first such answer one more request may leave, and no other. Nothing reads the markers of a
//! document that has ended; a lifecycle rule may remove `requests/` after days.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use precis_objects::{ObjectError, ObjectStore, Put, keys};

use crate::settle::Claim;

/// The requests of one document at one tier.
pub struct PaidRequests {
    store: Arc<dyn ObjectStore>,
    /// Beginning of the keys, up to the number.
    prefix: String,
    max: u32,
    /// Markers below this number may be there.
    seen: AtomicU32,
}

impl std::fmt::Debug for PaidRequests {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("PaidRequests").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// No more requests may leave for this document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    /// How many may have been billed.
    pub requests: u32,
    /// Whether the reason is an answer that could not be read, not the policy's bound.
    pub unreadable: bool,
}

impl PaidRequests {
    /// The requests of this document at this tier, at most `max`.
    pub fn new(store: Arc<dyn ObjectStore>, claim: &Claim, tier: &str, max: u32) -> Self {
        let Claim { identity, request_digest, .. } = claim;
        let scope = keys::hash(&format!("{request_digest} {tier}"));
        let prefix = keys::paid_requests_of(&identity.tenant, &identity.document_id, identity.revision, &scope);
        Self { store, prefix, max, seen: AtomicU32::new(0) }
    }

    /// Marks that a request is about to leave, and gives its number, from 0. Once this returns, it
    /// may.
    ///
    /// # Errors
    /// The store's: the request must not leave.
    pub async fn begin(&self, attempt_id: &str) -> Result<Result<u32, Spent>, ObjectError> {
        let mut allowed = self.max;
        let mut unreadable = false;
        let mut number = 0;
        while number < allowed {
            let created = self.store.put_if_absent(&self.marker(number), attempt_id.as_bytes().to_vec()).await?;
            self.seen.fetch_max(number + 1, Ordering::Relaxed);
            if created == Put::Created {
                return Ok(Ok(number));
            }
            if number == 0
                && let Some(note) = self.store.get(&self.note()).await?
            {
                unreadable = true;
                // A note that says nothing allows nothing.
                let first = std::str::from_utf8(&note).ok().and_then(|text| text.parse::<u32>().ok());
                allowed = allowed.min(first.map_or(0, |first| first.saturating_add(2)));
            }
            number += 1;
        }
        Ok(Err(Spent { requests: number, unreadable }))
    }

    /// The request did not leave, or is surely not billed: it does not count.
    pub async fn withdraw(&self, number: u32) {
        if let Err(error) = self.store.delete(&self.marker(number)).await {
            tracing::warn!(%error, "a request that was not billed counts for its document all the same");
        }
    }

    /// Notes that the answer to this request could not be read. Whether another request may leave.
    ///
    /// # Errors
    /// The store's: then none may.
    pub async fn unreadable(&self, number: u32) -> Result<bool, ObjectError> {
        Ok(self.store.put_if_absent(&self.note(), number.to_string().into_bytes()).await? == Put::Created)
    }

    /// Forgets all of them, once the answer is stored.
    pub async fn clear(&self) {
        let seen = self.seen.swap(0, Ordering::Relaxed);
        // A single request was answered: then there is no note.
        let note = (seen > 1).then(|| self.note());
        for key in (0..seen).map(|number| self.marker(number)).chain(note) {
            if let Err(error) = self.store.delete(&key).await {
                tracing::warn!(%error, "the marker of a request was left behind");
            }
        }
    }

    fn marker(&self, number: u32) -> String {
        format!("{}{number}", self.prefix)
    }

    fn note(&self) -> String {
        format!("{}unreadable", self.prefix)
    }
}

#[cfg(test)]
mod tests;
