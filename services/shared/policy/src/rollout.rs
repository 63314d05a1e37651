//! Progressive migration: which documents are in a tier's arm.
//!
//! A document's place is a hash of tier, tenant and document id, between 0 and 1. The document is
//! in the arm if its place is below the share. So an arm is stable: a document stays in it, on
//! every router and for every revision, and the arm grows and shrinks at its edge alone. The arms
//! of two tiers are independent of each other and of the mix's own hash.
//!
//! The rollout is a rule of the gate: outside of the arm neither score nor escalation brings a
//! document to the tier. A worker does not check the rollout again: documents that were on their
//! way when a share was lowered are finished.

use sha2::{Digest, Sha256};

use crate::gate::DocumentFacts;
use crate::policy::{Rollout, Tier};

/// Whether the tier's rollout lets the document come to the tier.
pub(crate) fn is_in(tier: &Tier, facts: &DocumentFacts) -> bool {
    let Some(rollout) = &tier.rollout else { return true };
    place(&tier.name, &facts.tenant, &facts.document_id) < share(rollout, facts)
}

fn share(rollout: &Rollout, facts: &DocumentFacts) -> f64 {
    let of_type = rollout.types.get(&facts.document_type);
    let of_tenant = rollout.tenants.get(&facts.tenant);
    let own = of_type.into_iter().chain(of_tenant).copied().reduce(f64::min);
    own.unwrap_or(rollout.share)
}

fn place(tier: &str, tenant: &str, document_id: &str) -> f64 {
    // Names of tiers and tenants hold no line break.
    hash01(&format!("rollout\n{tier}\n{tenant}\n{document_id}"))
}

/// A number in [0, 1) that depends on the text alone.
pub(crate) fn hash01(text: &str) -> f64 {
    let digest = Sha256::digest(text.as_bytes());
    let bits = u64::from_be_bytes(digest[..8].try_into().expect("SHA-256 has 32 bytes"));
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests;
