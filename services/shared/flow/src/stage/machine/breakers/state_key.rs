//! What tells one set of breakers from another, for the model.

use std::hash::{Hash, Hasher};
use std::mem::discriminant;

use super::Breakers;

impl Breakers {
    pub(in crate::stage) fn state_key(&self, into: &mut impl Hasher) {
        let mut topics: Vec<_> = self.topics.iter().collect();
        topics.sort_by_key(|(topic, _)| *topic);
        for (topic, breaker) in topics {
            (topic, discriminant(&breaker.state), &breaker.results).hash(into);
        }
    }
}
