//! What happens when partitions come and go. Called by librdkafka on the poll thread, and nothing
//! goes on there until it returns: that is what makes a revocation wait for its work.
//!
//! ```text
//!   assign:  read committed offsets ─▶ start each partition there ─▶ new epochs ─▶ tell the stage
//!   revoke:  tell the stage ─▶ wait until it has drained and committed, bounded ─▶ end the epochs ─▶ unassign
//!   lost:    end the epochs, abort what is open ─▶ tell the stage ─▶ unassign
//! ```

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use precis_base::lock::locked;
use precis_chaos::{Point, pass};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaRespErr;
use tokio::sync::mpsc::UnboundedSender;
use tracing::{error, info, warn};

use super::begin::{Begin, Cause, TopicsRead};
use super::client::{Logs, flow_error};
use super::convert::partition_ids;
use super::joining::Joining;
use super::ownership::Ownership;
use super::restart::Reading;
use super::topic_id::{Line, TopicIds};
use crate::error::{Class, FlowError};
use crate::member::{DrainGuard, Heartbeat, MemberEvent};
use crate::values::PartitionId;

/// How often a wait on this thread says that it is alive.
const WAIT_SLICE: Duration = Duration::from_millis(100);
/// How long to ask for committed offsets. A pending transaction of the last owner is waited for,
/// and its coordinator ends it in less.
const COMMITTED_OFFSETS_TIMEOUT: Duration = Duration::from_secs(90);

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
    /// Asks for the ids of topics.
    pub(super) topic_ids: TopicIds,
    /// The topics of the partitions that are read.
    pub(super) topics_read: Arc<TopicsRead>,
    /// What the poll thread knows of its partitions.
    pub(super) reading: Mutex<Reading>,
    /// Why this member waits to be let into its group.
    pub(super) joining: Mutex<Joining>,
}

impl MemberContext {
    fn on_assign(&self, consumer: &BaseConsumer<Callbacks>, list: &TopicPartitionList) {
        let partitions = partition_ids(list);
        locked(&self.joining).joined();
        self.reading().forget(&partitions);
        let begins = match self.starts(consumer, &partitions) {
            Ok(begins) => begins,
            Err(error) => {
                // Nothing is owned, so nothing can be committed; the stage ends.
                self.send(MemberEvent::Failed(error));
                self.logged("assign", consumer.incremental_assign(list));
                return;
            }
        };
        let mut started = TopicPartitionList::new();
        for (partition, begin) in partitions.iter().zip(&begins) {
            // What cannot be read yet is assigned all the same, so that it can be taken away.
            let offset = begin.as_ref().map_or(Offset::End, |begin| Offset::Offset(begin.start.offset()));
            let added = started.add_partition_offset(&partition.topic, partition.partition, offset);
            self.logged("set a start", added);
        }
        if let Err(error) = consumer.incremental_assign(&started) {
            self.send(MemberEvent::Failed(flow_error("assigning partitions", &error)));
            return;
        }
        self.reading().assigned.extend(partitions.iter().cloned());
        let mut assigned = Vec::with_capacity(partitions.len());
        for (partition, begin) in partitions.into_iter().zip(begins) {
            match begin {
                Ok(begin) => assigned.push(self.gain(partition, begin)),
                Err(error @ FlowError::OffsetsLost { .. }) => self.stop(partition, error),
                Err(_) => self.reading().start_later(partition, false),
            }
        }
        self.reassigned.store(true, Ordering::Release);
        match self.fail_if_all_stopped() {
            Ok(()) => self.send(MemberEvent::Assigned(assigned)),
            Err(error) => self.send(MemberEvent::Failed(error)),
        }
    }

    fn on_revoke(&self, consumer: &BaseConsumer<Callbacks>, list: &TopicPartitionList) {
        let partitions = partition_ids(list);
        self.reading().forget(&partitions);
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

    /// How each partition begins, or why it does not.
    fn starts(
        &self,
        consumer: &BaseConsumer<Callbacks>,
        partitions: &[PartitionId],
    ) -> Result<Vec<Result<Begin, FlowError>>, FlowError> {
        let deadline = Instant::now() + COMMITTED_OFFSETS_TIMEOUT;
        loop {
            self.heartbeat.beat();
            let error = match self.ask(consumer, partitions, &Cause::default()) {
                Ok(begins) => return Ok(begins),
                Err(error) => error,
            };
            if error.class() != Class::Retry || Instant::now() >= deadline || self.closing.load(Ordering::Acquire) {
                return Err(error);
            }
            warn!(group = self.group, code = error.code(), %error, "cannot tell where to start, trying again");
            std::thread::sleep(WAIT_SLICE);
        }
    }

    /// The stage may be gone already: then nobody needs to know.
    pub(super) fn send(&self, event: MemberEvent) {
        let _ = self.events.send(event);
    }

    fn logged(&self, what: &str, result: Result<(), KafkaError>) {
        if let Err(error) = result {
            error!(group = self.group, %error, "cannot {what} partitions");
        }
    }
}

/// What the consumer calls: the log lines and rebalances of one client. A member may have one after
/// the other.
pub(super) struct Callbacks(pub(super) Arc<MemberContext>);

impl MemberContext {
    fn note(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if matches!(level, RDKafkaLogLevel::Debug) {
            if let Some(line) = Line::read(facility, message) {
                self.reading().note(line);
            }
            return;
        }
        if facility == "MAXPOLL" {
            // The partitions are somebody else's already; a process that could not poll for that
            // long hangs.
            let detail = message.to_owned();
            self.send(MemberEvent::Failed(FlowError::Client { doing: "polling in time", detail }));
        }
        // What librdkafka says below a warning is asked for because of its debug lines alone.
        if !matches!(level, RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info) {
            Logs.log(level, facility, message);
        }
    }
}

impl ClientContext for Callbacks {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.0.note(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        Logs.error(error, reason);
    }
}

impl ConsumerContext for Callbacks {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, event: RDKafkaRespErr, list: &mut TopicPartitionList) {
        self.0.heartbeat.beat();
        if event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            self.0.on_assign(consumer, list);
        } else {
            self.0.on_revoke(consumer, list);
        }
    }
}

#[cfg(test)]
mod tests;
