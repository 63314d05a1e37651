//! Which identities this router saw lately: whether a document is worth a question to the store.
//!
//! An answer may be wrong both ways, and neither costs more than time. An identity that was
//! forgotten is one of a document that goes the way of a new one, and the tier's worker finds that
//! it is settled. One that only seems known costs a look into the store that finds nothing.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use precis_pipeline::Identity;

/// How many identities are remembered, at most: 8 bytes each, 8 MiB in all. Each has one place, and
/// the last one there stays: of those seen a quarter of a million documents ago, three in four are
/// still known.
const CAPACITY: usize = 1 << 20;

/// Identities, by hash. The hash is keyed anew in each process, so that nobody can choose ids that
/// push others out.
pub(crate) struct Recent {
    places: Box<[AtomicU64]>,
    hasher: RandomState,
}

impl Default for Recent {
    fn default() -> Self {
        Self { places: (0..CAPACITY).map(|_| AtomicU64::new(0)).collect(), hasher: RandomState::new() }
    }
}

impl Recent {
    /// Remembers the identity; whether it was known.
    pub(crate) fn saw(&self, identity: &Identity) -> bool {
        let hash = self.hasher.hash_one(identity);
        // Nothing else is read by the answer: no order with other memory is needed.
        self.places[hash as usize % CAPACITY].swap(hash, Ordering::Relaxed) == hash
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
        let recent = Recent::default();
        assert!(!recent.saw(&identity("acme", "a", 0)));
        assert!(recent.saw(&identity("acme", "a", 0)));
        assert!(recent.saw(&identity("acme", "a", 0)));
        for other in [identity("acme", "a", 1), identity("acme", "b", 0), identity("other", "a", 0)] {
            assert!(!recent.saw(&other), "{other:?}");
        }
    }

    #[test]
    fn most_of_the_last_hundred_thousand_are_known() {
        let recent = Recent::default();
        let ids = || (0..100_000).map(|index| identity("acme", &index.to_string(), 0));
        ids().for_each(|id| assert!(!recent.saw(&id), "nothing is known that was not seen"));
        let known = ids().filter(|id| recent.saw(id)).count();
        assert!(known > 85_000, "{known}");
    }
}
