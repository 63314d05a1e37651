//! Audit record: an operator's action.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{AvroRecord, Millis};

/// What somebody did as an operator, on audit: one record an action, in the transaction of the
/// action itself. Holds no document text and no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// When, UTC.
    pub at: Millis,
    /// Who: a person, as they or their account say, or a service.
    pub by: String,
    /// What was done, a stable code: `tier_on`, `tier_off`, `tier_drain`, `policy_applied`,
    /// `dead_letters_replayed`, `topics_created`. More may come.
    pub action: String,
    /// To what: the key on control (`policy`, `tier/<name>`) or the topic.
    pub target: String,
    /// What it was: the tier's state, the policy's digest. Empty: nothing had been set, or there is
    /// no such thing.
    #[serde(default)]
    pub before: String,
    /// What it is from then on, as before.
    #[serde(default)]
    pub after: String,
    /// Why, in the operator's words, or a service's stable code.
    #[serde(default)]
    pub reason: String,
    /// What else describes the action, such as what was selected and how many.
    #[serde(default)]
    pub details: BTreeMap<String, String>,
    /// Name of the machine it was done on.
    #[serde(default)]
    pub host: String,
    /// What did it, with its version, such as `precis 0.1.0`.
    #[serde(default)]
    pub program: String,
}

impl AvroRecord for AuditRecord {
    const NAME: &'static str = "audit_record";
    const VERSION: u32 = 1;
}
