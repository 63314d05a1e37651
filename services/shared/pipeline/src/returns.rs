//! Where records go that are tried again: re-enqueued copies, and dead letters that operators
//! replay.
//!
//! Whoever may write `documents.<tenant>` may write any header there, and mirrors copy headers of
//! other clusters. So no header of ours counts on these topics. Copies of their records go to
//! `returns` instead, which Précis alone writes: there the header `precis-origin` names the
//! publisher's record, and with it the tenant, `precis-attempts` counts deliveries, and
//! `precis-replay` marks replays. Every other record goes back to the partition that it came from.

use precis_flow::{ATTEMPTS_HEADER, Headers, ORIGIN_HEADER, Position, Returns};
use precis_schemas::DeadLetter;

use crate::identity::REPLAY_HEADER;
use crate::topics;

/// Where the router returns the records of publishers.
pub fn of_documents() -> Returns {
    Returns { prefix: topics::DOCUMENTS_PREFIX.to_owned(), topic: topics::RETURNS.to_owned() }
}

/// Where a record goes that is replayed.
#[derive(Debug, PartialEq, Eq)]
pub struct Target {
    /// The topic.
    pub topic: String,
    /// The partition; `None`: the key chooses.
    pub partition: Option<i32>,
    /// The headers that the record has there.
    pub headers: Headers,
}

/// Where a replay of this dead letter goes, whose record had these headers.
///
/// The headers of the copy say that it is a replay, and at which position its first copy lies.
/// Deliveries are counted anew. Of what a publisher wrote, no header of ours comes along.
pub fn replay_target(letter: &DeadLetter, given: Headers) -> Target {
    let mut headers = if topics::is_internal(&letter.topic) { given } else { given.without_control() };
    if headers.get(ORIGIN_HEADER).is_none() {
        headers.push(ORIGIN_HEADER, format!("{}/{}/{}", letter.topic, letter.partition, letter.offset));
    }
    headers.remove(ATTEMPTS_HEADER);
    headers.set(REPLAY_HEADER, letter.id.as_bytes());
    let is_returned = letter.topic.starts_with(topics::DOCUMENTS_PREFIX);
    Target {
        topic: if is_returned { topics::RETURNS.to_owned() } else { letter.topic.clone() },
        // A topic of returns has its own partitions: there the key chooses.
        partition: (!is_returned).then_some(letter.partition),
        headers,
    }
}

/// The headers of a dead letter's record.
pub fn headers_of(letter: &DeadLetter) -> Headers {
    letter.headers.iter().fold(Headers::new(), |mut headers, header| {
        headers.push(header.name.clone(), header.value.clone());
        headers
    })
}

/// The tenant in whose topic the publisher's record of this dead letter lies; `None` for a record
/// that is no publisher's.
pub fn tenant_of(letter: &DeadLetter) -> Option<String> {
    if letter.topic != topics::RETURNS {
        return topics::tenant_of(&letter.topic).map(str::to_owned);
    }
    let origin = letter.headers.iter().rev().find(|header| header.name == ORIGIN_HEADER)?;
    let origin = Position::parse(std::str::from_utf8(&origin.value).ok()?)?;
    topics::tenant_of(&origin.topic).map(str::to_owned)
}

#[cfg(test)]
mod tests;
