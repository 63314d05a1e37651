//! The identities that this router had recently: whether a document is worth a request to the
//! store.
//!
//! The filter may be wrong both ways, and either mistake costs only time. A document whose identity
//! was forgotten goes the way of a new one, and the tier's worker finds it settled. A document
//! whose identity only seems known costs one request to the store that finds nothing.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use precis_pipeline::Identity;

/// Most identities that are remembered: 8 bytes each, 8 MiB in all. Each identity has one slot, and
/// a slot keeps its latest identity: of the identities of a quarter of a million documents ago,
/// three in four are still known.
const RECENT_CAPACITY: usize = 1 << 20;

/// Identities, by hash. The hash is keyed anew in each process, so that nobody can choose ids that
/// push others out.
pub(crate) struct RecentIdentities {
    slots: Box<[AtomicU64]>,
    hasher: RandomState,
}

impl Default for RecentIdentities {
    fn default() -> Self {
        Self { slots: (0..RECENT_CAPACITY).map(|_| AtomicU64::new(0)).collect(), hasher: RandomState::new() }
    }
}

impl RecentIdentities {
    /// Remembers the identity, and returns whether it was known.
    pub(crate) fn remember(&self, identity: &Identity) -> bool {
        let hash = self.hasher.hash_one(identity);
        // Relaxed: nothing else is read because of the result, so no order with other memory is
        // needed.
        self.slots[hash as usize % RECENT_CAPACITY].swap(hash, Ordering::Relaxed) == hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(tenant: &str, id: &str, revision: i64) -> Identity {
        Identity { tenant: tenant.to_owned(), document_id: id.to_owned(), revision }
    }

    #[test]
    fn an_identity_is_known_from_its_second_document_on() {
        let recent = RecentIdentities::default();
        assert!(!recent.remember(&identity("acme", "a", 0)));
        assert!(recent.remember(&identity("acme", "a", 0)));
        assert!(recent.remember(&identity("acme", "a", 0)));
        for other in [identity("acme", "a", 1), identity("acme", "b", 0), identity("other", "a", 0)] {
            assert!(!recent.remember(&other), "{other:?}");
        }
    }

    #[test]
    fn most_of_the_last_hundred_thousand_are_known() {
        let recent = RecentIdentities::default();
        let ids = || (0..100_000).map(|index| identity("acme", &index.to_string(), 0));
        ids().for_each(|id| assert!(!recent.remember(&id), "nothing is known that was not seen"));
        let known = ids().filter(|id| recent.remember(id)).count();
        assert!(known > 85_000, "{known}");
    }
}
