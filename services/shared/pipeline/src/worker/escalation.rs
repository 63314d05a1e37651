//! The record by which a worker gives a document back to the router.

use precis_flow::Output;
use precis_schemas::{Escalation, Trial, TrialResult};
use precis_telemetry::metrics::Counter;

use super::work::Work;
use crate::{EffectivePolicy, now_ms, topics};

/// Why a document goes back.
#[derive(Clone, Copy)]
pub(super) enum Cause<'a> {
    /// This tier may not, or cannot, take the document; the code says why.
    Refused(&'a str),
    /// The answer failed checks that decide; at least one, in order of cost.
    FailedChecks { answer_key: &'a str, failed: &'a [String] },
}

/// The escalation of a document, decided under the policy `effective`.
pub(super) fn escalation(work: &Work<'_>, effective: &EffectivePolicy, cause: Cause<'_>) -> Output {
    let (result, code, answer_key, failed) = match cause {
        Cause::Refused(code) => (TrialResult::Refused, code, None, &[] as &[String]),
        Cause::FailedChecks { answer_key, failed } => {
            let code = failed.first().map_or("", String::as_str);
            (TrialResult::FailedChecks, code, Some(answer_key.to_owned()), failed)
        }
    };
    Counter::Escalations.increment(&[work.tier, code]);
    let trial = Trial {
        tier: work.tier.to_owned(),
        result,
        code: code.to_owned(),
        answer_key,
        failed_checks: failed.to_vec(),
        policy_digest: effective.digest.clone(),
        at: now_ms(),
    };
    let routed = work.delivery.record.value.clone().unwrap_or_default();
    Output::to(topics::ESCALATIONS)
        .key(work.claim.identity.record_key())
        .record(&Escalation { routed, trial })
        .expect("an escalation is bytes and strings: it always fits its schema")
}
