//! Layout of the store: the key of each kind of object.
//!
//! Any tenant, any document id, any fingerprint makes a valid key: document ids are hashed, names
//! are escaped. Different inputs make different keys, also on file systems that do not tell upper
//! from lower case. No key is a directory of another. No document has a directory of its own, since
//! a new directory costs two more flushes to disk. A key holds no clock and no random id, so a
//! redelivered record finds the objects of its first delivery. The slices of a budget are the one
//! exception: their keys hold the day or the month of the budget. The hour of an alarm is that of
//! its outcomes.

use std::fmt::Write as _;

use precis_base::digest::sha256_hex;

/// Longest escaped name; a longer name is hashed.
const MAX_NAME_BYTES: usize = 80;

/// Prefix of the bytes of dead letters.
const DEAD_LETTERS_PREFIX: &str = "dead-letters/";

/// Result object of a document. Whoever creates it decides the outcome.
pub fn result(tenant: &str, document_id: &str, revision: i64) -> String {
    let id = hash(document_id);
    format!("results/{}/{}/{id}.r{revision}", name(tenant), fan_out(&id))
}

/// The keys that prove which records between router and workers are ours. Only services may read
/// what begins with `keys/`.
pub const ROUTING: &str = "keys/routing";

/// What an evaluator model said of a document's summary. Whoever creates it decides; `round` counts
/// from 1.
pub fn evaluation(tenant: &str, document_id: &str, revision: i64, round: i32) -> String {
    let id = hash(document_id);
    format!("evaluations/{}/{}/{id}.r{revision}.{round}", name(tenant), fan_out(&id))
}

/// Note that an alarm of a group was told. The hour is that of the outcomes which raised it,
/// counted from the start of 1970.
pub fn alarm(group: &str, hour: i64) -> String {
    format!("{}{hour}", alarms_of(group))
}

/// Prefix of all notes of a group's alarms.
pub fn alarms_of(group: &str) -> String {
    format!("alarms/{}/", hash(group))
}

/// Prefix of all results of a tenant.
pub fn results_of(tenant: &str) -> String {
    format!("results/{}/", name(tenant))
}

/// One answer to a request, accepted or not.
pub fn answer(tenant: &str, request_fingerprint: &str, answer_fingerprint: &str) -> String {
    format!("{}.answer.{}", request(tenant, request_fingerprint), name(answer_fingerprint))
}

/// Names the answer to a request that other documents may use. The generation comes from the
/// policy: raising it forgets every earlier choice.
pub fn accepted(tenant: &str, request_fingerprint: &str, generation: &str) -> String {
    format!("{}.accepted.{}", request(tenant, request_fingerprint), name(generation))
}

/// A partial answer: the answer to one chunk of a long document, kept until the whole is done.
pub fn partial(tenant: &str, request_fingerprint: &str, answer_fingerprint: &str, chunk: u32) -> String {
    format!("{}{chunk}", partials_of(tenant, request_fingerprint, answer_fingerprint))
}

/// Prefix of all partial answers of one long document.
pub fn partials_of(tenant: &str, request_fingerprint: &str, answer_fingerprint: &str) -> String {
    format!("{}.partial.{}.", request(tenant, request_fingerprint), name(answer_fingerprint))
}

/// Prefix of everything cached for a tenant.
pub fn cache_of(tenant: &str) -> String {
    format!("cache/{}/", name(tenant))
}

/// A body too large for a message.
pub fn body(tenant: &str, document_id: &str, revision: i64, sha256: &str) -> String {
    let id = hash(document_id);
    format!("{}{}/{id}.r{revision}.{}", bodies_of(tenant), fan_out(&id), name(sha256))
}

/// Prefix of a tenant's bodies. A claim check outside it is refused.
pub fn bodies_of(tenant: &str) -> String {
    format!("bodies/{}/", name(tenant))
}

/// The raw bytes of a dead letter that is too large for its topic. A record that could not be
/// decoded has no tenant.
pub fn dead_letter(tenant: Option<&str>, sha256: &str) -> String {
    let sha256 = name(sha256);
    let owner = tenant.map_or_else(|| "~unknown".to_owned(), name);
    format!("{DEAD_LETTERS_PREFIX}{owner}/{}/{sha256}", fan_out(&sha256))
}

/// Whether a key is one of [`dead_letter`]'s.
pub fn is_dead_letter(key: &str) -> bool {
    key.starts_with(DEAD_LETTERS_PREFIX)
}

/// Marker of a stage that is about to process one record while no other runs beside it. The digest
/// covers the record and its position.
pub fn attempt(stage: &str, record_sha256: &str, attempt: &str) -> String {
    let record = name(record_sha256);
    format!("attempts/{}/{}/{record}.{}", name(stage), fan_out(&record), name(attempt))
}

/// Prefix of the markers of requests that a provider may have billed for one document. The digest
/// covers the request and the tier.
pub fn paid_requests_of(tenant: &str, document_id: &str, revision: i64, sha256: &str) -> String {
    let id = hash(document_id);
    format!("requests/{}/{}/{id}.r{revision}.{}.", name(tenant), fan_out(&id), name(sha256))
}

/// A version of the policy that decided something.
pub fn policy(digest: &str) -> String {
    format!("policies/{}", name(digest))
}

/// A version of a prompt that was used.
pub fn prompt(digest: &str) -> String {
    format!("prompts/{}", name(digest))
}

/// One slice of a budget's window; whoever creates it owns it. `None` where a budget is for all
/// tiers, or for all tenants, together.
pub fn budget_slice(tier: Option<&str>, tenant: Option<&str>, window: &str, slice: u32) -> String {
    format!("{}{slice:06}", budget_slices(tier, tenant, window))
}

/// Prefix of all slices of a budget's window, in the order of their numbers.
pub fn budget_slices(tier: Option<&str>, tenant: Option<&str>, window: &str) -> String {
    // No name is `~` alone.
    let scope = |of: Option<&str>| of.map_or_else(|| "~".to_owned(), name);
    format!("budgets/tier={}.tenant={}/{}/", scope(tier), scope(tenant), name(window))
}

/// SHA-256 in lower-case hex.
pub fn hash(text: &str) -> String {
    hash_bytes(text.as_bytes())
}

/// SHA-256 of bytes in lower-case hex.
pub fn hash_bytes(bytes: &[u8]) -> String {
    sha256_hex(bytes)
}

fn request(tenant: &str, request_fingerprint: &str) -> String {
    let fingerprint = name(request_fingerprint);
    format!("{}{}/{fingerprint}", cache_of(tenant), fan_out(&fingerprint))
}

/// The first two characters of a digest. A directory has at most a few hundred others below it, and
/// requests spread over S3's partitions.
fn fan_out(hex: &str) -> &str {
    hex.get(..2).unwrap_or(hex)
}

/// Escapes a name so that no two names become equal. Lower-case letters, digits and hyphens stay.
/// Every other byte, `_`, `~` and upper case included, becomes `_` and two hex digits. A name that
/// is too long then becomes `~` and its hash.
fn name(text: &str) -> String {
    if text.is_empty() {
        return "_".to_owned();
    }
    let escaped = text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "_{byte:02x}");
            }
        }
        out
    });
    if escaped.len() > MAX_NAME_BYTES { format!("~{}", hash(text)) } else { escaped }
}

#[cfg(test)]
mod tests;
