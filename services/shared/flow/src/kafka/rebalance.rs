//! What happens when partitions come and go. Called by librdkafka on the poll thread, and nothing goes on there until
//! it returns: that is what makes a revocation wait for its work.
//!
//! ```text
//!   assign:  read committed offsets ─▶ start each partition there ─▶ new epochs ─▶ tell the stage
//!   revoke:  tell the stage ─▶ wait until it has drained and committed, bounded ─▶ end the epochs ─▶ unassign
//!   lost:    end the epochs, abort what is open ─▶ tell the stage ─▶ unassign
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use precis_chaos::{Point, pass};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaRespErr;
use tokio::sync::mpsc::UnboundedSender;
use tracing::{error, info, warn};

use super::client::{ASK_TIMEOUT, Logs, flow_error};
use super::convert::partition_ids;
use super::ownership::Ownership;
use crate::error::{Class, FlowError};
use crate::member::{Assignment, DrainGuard, Heartbeat, Mark, MemberEvent, start_offset};
use crate::record::PartitionId;

/// How often a wait on this thread says that it is alive.
const WAIT_SLICE: Duration = Duration::from_millis(100);
/// How long to ask for committed offsets. A pending transaction of the last owner is waited for, and its coordinator
/// ends it in less.
const ASSIGN_PATIENCE: Duration = Duration::from_secs(90);

/// The poll thread's side of a member.
pub(super) struct MemberContext {
    pub(super) group: String,
    pub(super) ownership: Arc<Ownership>,
    pub(super) events: UnboundedSender<MemberEvent>,
    pub(super) heartbeat: Arc<Heartbeat>,
    /// How long a revocation waits: the drain budget, and one transaction.
    pub(super) revoke_patience: Duration,
    /// Set once the member leaves: nobody drains any more.
    pub(super) closing: AtomicBool,
    /// Set when the assignment changed since the poll loop last looked.
    pub(super) reassigned: AtomicBool,
}

/// Where a partition starts and ends, and what the group had committed there.
struct Start {
    offset: i64,
    end: i64,
    committed: Option<Mark>,
}

impl MemberContext {
    fn on_assign(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList) {
        let partitions = partition_ids(list);
        let starts = match self.starts(consumer, &partitions) {
            Ok(starts) => starts,
            Err(error) => {
                // Nothing is owned, so nothing can be committed; the stage ends.
                self.send(MemberEvent::Failed(error));
                self.logged("assign", consumer.incremental_assign(list));
                return;
            }
        };
        let mut started = TopicPartitionList::new();
        for (partition, Start { offset, .. }) in partitions.iter().zip(&starts) {
            let added = started.add_partition_offset(&partition.topic, partition.partition, Offset::Offset(*offset));
            self.logged("set a start", added);
        }
        if let Err(error) = consumer.incremental_assign(&started) {
            self.send(MemberEvent::Failed(flow_error("assigning partitions", &error)));
            return;
        }
        let epochs = self.ownership.gain(&partitions);
        let assigned = partitions.into_iter().zip(epochs).zip(starts);
        let assigned = assigned.map(|((partition, epoch), Start { offset, end, committed })| Assignment {
            partition,
            epoch,
            start: offset,
            end,
            committed,
        });
        self.send(MemberEvent::Assigned(assigned.collect()));
        self.reassigned.store(true, Ordering::Release);
    }

    fn on_revoke(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList) {
        let partitions = partition_ids(list);
        if consumer.assignment_lost() {
            warn!(group = self.group, partitions = partitions.len(), "partitions were lost");
            self.ownership.lose(&partitions, &|| self.heartbeat.beat());
            self.send(MemberEvent::Lost(partitions));
        } else {
            if !self.closing.load(Ordering::Acquire) {
                pass(Point::InRevoke);
                self.drain(&partitions);
            }
            self.ownership.give_away(&partitions, &|| self.heartbeat.beat());
        }
        self.logged("unassign", consumer.incremental_unassign(list));
        self.reassigned.store(true, Ordering::Release);
    }

    /// Waits until the stage has nothing left of these partitions, within bounds.
    fn drain(&self, partitions: &[PartitionId]) {
        let (guard, drained) = DrainGuard::new();
        self.send(MemberEvent::Revoking { partitions: partitions.to_vec(), guard });
        let began = Instant::now();
        while began.elapsed() < self.revoke_patience {
            self.heartbeat.beat();
            match drained.recv_timeout(WAIT_SLICE) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => {
                    let milliseconds = began.elapsed().as_millis();
                    info!(group = self.group, partitions = partitions.len(), milliseconds, "drained");
                    return;
                }
            }
        }
        warn!(
            group = self.group,
            partitions = partitions.len(),
            "the drain took too long: what is left is not committed"
        );
    }

    /// Where each partition starts.
    fn starts(&self, consumer: &BaseConsumer<Self>, partitions: &[PartitionId]) -> Result<Vec<Start>, FlowError> {
        let deadline = Instant::now() + ASSIGN_PATIENCE;
        loop {
            self.heartbeat.beat();
            let error = match self.ask_starts(consumer, partitions) {
                Ok(starts) => return Ok(starts),
                Err(error) => error,
            };
            if error.class() != Class::Retry || Instant::now() >= deadline || self.closing.load(Ordering::Acquire) {
                return Err(error);
            }
            warn!(group = self.group, code = error.code(), %error, "cannot tell where to start, trying again");
            std::thread::sleep(WAIT_SLICE);
        }
    }

    fn ask_starts(&self, consumer: &BaseConsumer<Self>, partitions: &[PartitionId]) -> Result<Vec<Start>, FlowError> {
        let doing = "reading committed offsets";
        let unavailable = |error: KafkaError| flow_error(doing, &error);
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let asked = super::convert::partition_list(partitions);
        let committed = consumer.committed_offsets(asked, ASK_TIMEOUT).map_err(unavailable)?;
        let mut starts = Vec::with_capacity(partitions.len());
        for partition in partitions {
            let found = committed.find_partition(&partition.topic, partition.partition);
            let found = found.ok_or_else(|| FlowError::Internal { detail: format!("no answer for {partition}") })?;
            found.error().map_err(unavailable)?;
            let committed = if let Offset::Offset(offset) = found.offset() { Some(offset) } else { None };
            let (low, end) = consumer
                .fetch_watermarks(&partition.topic, partition.partition, ASK_TIMEOUT)
                .map_err(|error| flow_error("reading where partitions start", &error))?;
            let offset = start_offset(&self.group, partition, committed, low)?;
            starts.push(Start { offset, end, committed: committed.map(|_| super::convert::mark(&found)) });
            self.heartbeat.beat();
        }
        Ok(starts)
    }

    /// The stage may be gone already: then nobody needs to know.
    fn send(&self, event: MemberEvent) {
        let _ = self.events.send(event);
    }

    fn logged(&self, what: &str, result: Result<(), KafkaError>) {
        if let Err(error) = result {
            error!(group = self.group, %error, "cannot {what} partitions");
        }
    }
}

impl ClientContext for MemberContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if facility == "MAXPOLL" {
            // The partitions are somebody else's already; a process that could not poll for that long hangs.
            let detail = message.to_owned();
            self.send(MemberEvent::Failed(FlowError::Client { doing: "polling in time", detail }));
        }
        Logs.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        Logs.error(error, reason);
    }
}

impl ConsumerContext for MemberContext {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, event: RDKafkaRespErr, list: &mut TopicPartitionList) {
        self.heartbeat.beat();
        if event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            self.on_assign(consumer, list);
        } else {
            self.on_revoke(consumer, list);
        }
    }
}

#[cfg(test)]
mod tests;
