//! Why a member waits to be let into its group: the brokers' refusals, told once they have lasted a
//! while.

use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode;

/// How long a refusal may last before it is told: members that leave or are replaced refuse for a
/// moment.
const WARNING_AFTER: Duration = Duration::from_secs(10);
/// How often it is told again.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);
/// After how long without another refusal the last one counts for nothing.
const REFUSAL_TTL: Duration = Duration::from_secs(30);

/// The refusals since a member last joined.
#[derive(Debug, Default)]
pub(super) struct Joining {
    refused: Option<Refused>,
}

#[derive(Debug)]
struct Refused {
    why: &'static str,
    first: Instant,
    last: Instant,
    told: Option<Instant>,
}

impl Joining {
    /// The member is in its group.
    pub(super) fn joined(&mut self) {
        self.refused = None;
    }

    /// The brokers report an error of this member's group.
    pub(super) fn note(&mut self, code: RDKafkaErrorCode, now: Instant) {
        let Some(why) = refusal(code) else { return };
        let known = self.refused.take().filter(|refused| now.duration_since(refused.last) < REFUSAL_TTL);
        let Refused { first, told, .. } = known.unwrap_or(Refused { why, first: now, last: now, told: None });
        self.refused = Some(Refused { why, first, last: now, told });
    }

    /// What is to be told now: for how long the member has waited, and why.
    pub(super) fn warning(&mut self, now: Instant) -> Option<(Duration, &'static str)> {
        let refused = self.refused.as_mut().filter(|refused| now.duration_since(refused.last) < REFUSAL_TTL)?;
        let waited = now.duration_since(refused.first);
        let is_due = refused.told.is_none_or(|told| now.duration_since(told) >= WARNING_INTERVAL);
        if waited < WARNING_AFTER || !is_due {
            return None;
        }
        refused.told = Some(now);
        Some((waited, refused.why))
    }
}

/// What a code says about the group, to people who can do something about it.
fn refusal(code: RDKafkaErrorCode) -> Option<&'static str> {
    match code {
        RDKafkaErrorCode::InconsistentGroupProtocol => Some(
            "a member of the group has another assignment strategy or protocol: end it, or give it a group of its own \
             (`kafka-consumer-groups.sh --describe --members` lists them)",
        ),
        RDKafkaErrorCode::GroupMaxSizeReached => Some("the group has as many members as the brokers allow"),
        RDKafkaErrorCode::InvalidSessionTimeout => {
            Some("the brokers do not allow this session timeout: set `log.kafka.session_timeout_ms`")
        }
        RDKafkaErrorCode::GroupAuthorizationFailed => Some("the brokers do not allow this client to read as the group"),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
