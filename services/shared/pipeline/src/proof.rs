//! Proof that Précis wrote a record on `work.<tier>` or `escalations`.
//!
//! These records say whose a document is, how it is labelled and which request it is, and nothing
//! else in them shows that. So whoever writes one adds a proof in the header `precis-proof`, and
//! whoever reads one checks the proof before anything else. A record without its proof ends as a
//! dead letter `unproved`: nothing is settled in the tenant's name that it claims, and nothing
//! leaves.
//!
//! The proof is HMAC-SHA256 over the topic and the whole value, in lower-case hex:
//!
//! ```text
//! HMAC(key, SHA-256( len "precis routing proof 1" | len topic | len value ))    len: 8 bytes, big endian
//! ```
//!
//! So a record of one tier is none of another tier, and no byte of it can be changed. What the
//! proof cannot show is that a record was written once: whoever may write the topics can copy a
//! record of theirs. That is what the log's access rules are for.
//!
//! The key is the object `keys/routing`, created by whichever service starts first. It holds one
//! key a line, 64 hex digits: the first one proves, each of them is accepted. So a key can be
//! replaced without a drain: add the new key as the second line, restart all services, make it the
//! first line, restart, take the old line out. Services read the object at their start.

use std::fmt;

use precis_base::digest::hex;
use precis_flow::{Output, Record};
use precis_objects::{ObjectStore, create_or_adopt, keys};
use precis_schemas::{DeadLetter, codes};
use ring::hmac;
use ring::rand::SystemRandom;

use crate::identity::FieldHasher;
use crate::{PipelineError, topics};

/// Header with the proof.
pub const PROOF_HEADER: &str = "precis-proof";

/// Bytes of a key, and of a proof: those of SHA-256.
const KEY_BYTES: usize = 32;
/// Most keys that are accepted at once: an old one, a new one, and one more by mistake.
const MAX_KEYS: usize = 3;

/// The keys of a deployment's routed work.
pub struct RoutingKeys {
    /// At least one; the first one proves.
    keys: Vec<hmac::Key>,
    accept_unproved: bool,
}

impl RoutingKeys {
    /// The deployment's keys, created where there are none.
    ///
    /// # Errors
    /// The store's; `routing_key_unusable` for an object that holds no keys.
    pub async fn open(store: &dyn ObjectStore) -> Result<Self, PipelineError> {
        let adopted = create_or_adopt(store, keys::ROUTING, new_key()?).await?;
        Self::read(&adopted.bytes)
    }

    /// Keys as the object holds them.
    fn read(object: &[u8]) -> Result<Self, PipelineError> {
        let unusable = |detail| PipelineError::RoutingKey { detail };
        let text = std::str::from_utf8(object).map_err(|_| unusable("is no text; it should be one key a line"))?;
        let keys: Option<Vec<_>> = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(parse).collect();
        let keys = keys.ok_or(unusable("has a line that is no key; a key is 64 hex digits"))?;
        if !(1..=MAX_KEYS).contains(&keys.len()) {
            return Err(unusable("has no key, or more than 3; delete it with all services stopped to have a new one"));
        }
        let keys = keys.iter().map(|key| hmac::Key::new(hmac::HMAC_SHA256, key)).collect();
        Ok(Self { keys, accept_unproved: false })
    }

    /// The same keys; `accept`: whether a record without any proof is accepted, too.
    #[must_use]
    pub fn accepting_unproved(self, accept: bool) -> Self {
        if accept {
            tracing::warn!(
                "topics.accept_unproved_work is set: whoever may write work.* or escalations chooses tenants and labels"
            );
        }
        Self { accept_unproved: accept, ..self }
    }

    /// Adds its proof to a record for `work.<tier>` or `escalations`; leaves every other one as it
    /// is.
    #[must_use]
    pub fn prove(&self, mut output: Output) -> Output {
        if topics::is_routed(&output.topic) {
            let proof = hmac::sign(&self.keys[0], &digest(&output.topic, output.value.as_deref()));
            output.headers.set(PROOF_HEADER, hex(proof.as_ref()));
        }
        output
    }

    /// Checks a record's proof, in a time that says nothing of the right one.
    ///
    /// # Errors
    /// `unproved`.
    pub fn check(&self, record: &Record) -> Result<(), PipelineError> {
        self.check_proof(&record.topic, record.value.as_deref(), record.headers.get(PROOF_HEADER))
    }

    /// Checks the proof of a dead letter's record, whose value the caller read.
    ///
    /// # Errors
    /// `unproved`.
    pub fn check_letter(&self, letter: &DeadLetter, value: Option<&[u8]>) -> Result<(), PipelineError> {
        let given = letter.headers.iter().rev().find(|header| header.name == PROOF_HEADER);
        self.check_proof(&letter.topic, value, given.map(|header| header.value.as_slice()))
    }

    fn check_proof(&self, topic: &str, value: Option<&[u8]>, given: Option<&[u8]>) -> Result<(), PipelineError> {
        let Some(given) = given else {
            return if self.accept_unproved { Ok(()) } else { Err(unproved("carries no proof")) };
        };
        let digest = digest(topic, value);
        match std::str::from_utf8(given).ok().and_then(parse) {
            Some(proof) if self.keys.iter().any(|key| hmac::verify(key, &digest, &proof).is_ok()) => Ok(()),
            _ => Err(unproved("carries a wrong proof")),
        }
    }
}

impl fmt::Debug for RoutingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoutingKeys").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

fn unproved(what: &str) -> PipelineError {
    let message = format!("the record {what} that Précis wrote it; nothing that it says is believed");
    PipelineError::rejected(codes::UNPROVED, message)
}

/// What is proved of a record.
fn digest(topic: &str, value: Option<&[u8]>) -> [u8; 32] {
    let mut fields = FieldHasher::new("precis routing proof 1");
    fields.text(topic);
    if let Some(value) = value {
        fields.bytes(value);
    }
    fields.digest()
}

/// A key or a proof of 64 hex digits.
fn parse(text: &str) -> Option<[u8; KEY_BYTES]> {
    let mut bytes = [0; KEY_BYTES];
    if text.len() != 2 * KEY_BYTES || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

/// The object of a new key.
fn new_key() -> Result<Vec<u8>, PipelineError> {
    let key: [u8; KEY_BYTES] = ring::rand::generate(&SystemRandom::new())
        .map_err(|_| PipelineError::RoutingKey { detail: "cannot be made: the system gives no random bytes" })?
        .expose();
    Ok(format!("{}\n", hex(&key)).into_bytes())
}

#[cfg(test)]
mod tests;
