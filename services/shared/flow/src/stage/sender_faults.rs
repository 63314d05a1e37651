//! What is logged of records that only their senders can be at fault for: the first of a topic at
//! once, then how many more came, once a minute. A flood of garbage must not flood the log.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use precis_base::lock::locked;
use tokio::time::Instant;

/// How often a topic's faults are told.
const TELL_INTERVAL: Duration = Duration::from_mins(1);

/// The topics of which faults were told within the last interval.
#[derive(Debug, Default)]
pub(crate) struct SenderFaults {
    topics: Mutex<HashMap<Arc<str>, Since>>,
}

/// What came of a topic since it was told of last.
#[derive(Debug)]
struct Since {
    told: Instant,
    count: u64,
    last_code: &'static str,
}

/// What is to be told of a topic.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) topic: Arc<str>,
    /// How many records were rejected that nothing was said of.
    pub(crate) count: u64,
    pub(crate) last_code: &'static str,
}

impl SenderFaults {
    /// Notes that a record of this topic was rejected. `true`: it is to be told at once.
    pub(crate) fn note(&self, topic: &Arc<str>, code: &'static str) -> bool {
        let mut topics = locked(&self.topics);
        if let Some(since) = topics.get_mut(topic) {
            since.count += 1;
            since.last_code = code;
            return false;
        }
        topics.insert(Arc::clone(topic), Since { told: Instant::now(), count: 0, last_code: code });
        true
    }

    /// What is to be told now. A topic of which nothing came for an interval is forgotten.
    pub(crate) fn take_due(&self) -> Vec<Told> {
        let mut due = Vec::new();
        locked(&self.topics).retain(|topic, since| {
            if since.told.elapsed() < TELL_INTERVAL {
                return true;
            }
            let count = std::mem::take(&mut since.count);
            if count > 0 {
                due.push(Told { topic: Arc::clone(topic), count, last_code: since.last_code });
            }
            since.told = Instant::now();
            count > 0
        });
        due
    }
}

#[cfg(test)]
mod tests;
