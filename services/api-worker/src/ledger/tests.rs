#![allow(clippy::unwrap_used)]

use precis_pipeline::identity::MAX_DOCUMENT_ID_BYTES;
use precis_schemas::{Purpose, SettlementResult, Usd};

use super::*;

/// The longest name of a tenant and of a tier.
const MAX_NAME_BYTES: usize = 64;
/// The longest name of a model that a policy may have.
const MAX_MODEL_BYTES: usize = 256;
/// The longest name that a provider may give to a request: a longer one is not kept.
const MAX_REQUEST_ID_BYTES: usize = 128;

fn long(bytes: usize) -> String {
    "x".repeat(bytes)
}

fn bytes_of<T: AvroRecord>(attempt_id: &str, record: &T) -> usize {
    output(attempt_id, record).unwrap().size_bytes()
}

/// Every field as long as its own bound lets it be: neither record comes near the limit of the log,
/// so a request that was paid for is always on record.
#[test]
fn the_largest_records_of_the_ledger_fit_the_log() {
    let digest = long(64);
    let attempt = LedgerAttempt {
        attempt_id: digest.clone(),
        tenant: long(MAX_NAME_BYTES),
        document_id: long(MAX_DOCUMENT_ID_BYTES),
        revision: i64::MAX,
        tier: long(MAX_NAME_BYTES),
        provider: long(MAX_NAME_BYTES),
        model: long(MAX_MODEL_BYTES),
        reserved: Usd::MAX,
        price_digest: digest.clone(),
        at: i64::MAX,
        purpose: Purpose::Production,
    };
    let settlement = LedgerSettlement {
        attempt_id: digest.clone(),
        result: SettlementResult::Unknown,
        input_tokens: i64::MAX,
        cached_input_tokens: i64::MAX,
        output_tokens: i64::MAX,
        cost: Usd::MAX,
        price_digest: digest,
        provider_request_id: Some(long(MAX_REQUEST_ID_BYTES)),
        at: i64::MAX,
    };
    for bytes in [bytes_of("a", &attempt), bytes_of("a", &settlement)] {
        assert!(bytes < 4 * 1024, "{bytes} bytes");
    }
}
