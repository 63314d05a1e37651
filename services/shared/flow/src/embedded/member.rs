//! The one member of a group on the embedded log: it has all partitions, and keeps them until it is
//! closed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use precis_base::lock::locked;
use precis_chaos::{Point, pass, pass_async};
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{info, warn};

use super::database::Database;
use super::lock::GroupLock;
use super::store::{self, BatchLimit, Topic};
use super::{TRIM_INTERVAL, trim};
use crate::error::{Class, FlowError};
use crate::member::{
    Assignment, Committer, Epoch, Heartbeat, Intake, JoinRequest, Load, MemberEvent, Membership, Transaction,
    start_offset,
};
use crate::values::{PartitionId, Record, Subscription};
use precis_base::clock::now_ms;

/// What is read ahead of one partition at a time: small, so that many partitions get their turns.
const BATCH: BatchLimit = BatchLimit { records: 32, bytes: 2 * 1024 * 1024 };

/// How often the feeder goes round when nothing changes: for liveness.
const IDLE_POLL_INTERVAL: Duration = Duration::from_secs(1);

pub(super) async fn join(database: Database, request: JoinRequest) -> Result<Membership, FlowError> {
    let lock = GroupLock::take(database.path(), &request.group)?;
    let group: Arc<str> = request.group.as_str().into();
    let raise = {
        let group = Arc::clone(&group);
        move |transaction: &rusqlite::Transaction<'_>| store::raise_epoch(transaction, store::Holder::Group, &group)
    };
    let epoch = database.write("joining a group", raise).await?;
    info!(group = %group, epoch, "joined");
    let (events, received) = mpsc::unbounded_channel();
    let stop = CancellationToken::new();
    let feeder = Feeder {
        database: database.clone(),
        group: Arc::clone(&group),
        epoch,
        subscription: request.subscription,
        intake: request.intake,
        heartbeat: request.heartbeat,
        events,
        next: BTreeMap::new(),
    };
    feeder.check_topics().await?;
    tokio::spawn(feeder.run(stop.clone()));
    let held = Mutex::new(Some(Live { _lock: lock, _stop: stop.drop_guard() }));
    Ok(Membership { events: received, committer: Arc::new(EmbeddedCommitter { database, group, epoch, held }) })
}

/// What ends with the membership: the feeder first, then the lock.
struct Live {
    _stop: DropGuard,
    _lock: GroupLock,
}

struct EmbeddedCommitter {
    database: Database,
    group: Arc<str>,
    epoch: Epoch,
    held: Mutex<Option<Live>>,
}

#[async_trait]
impl Committer for EmbeddedCommitter {
    async fn commit(&self, transaction: Transaction) -> Result<Vec<PartitionId>, FlowError> {
        let (group, epoch) = (Arc::clone(&self.group), self.epoch);
        let commit = move |sql: &rusqlite::Transaction<'_>| {
            store::check_epoch(sql, store::Holder::Group, &group, epoch)?;
            let mut written = Vec::new();
            for part in &transaction.parts {
                for output in part.outputs.iter().flat_map(|outputs| outputs.iter()) {
                    written.push(store::append(sql, output, now_ms())?);
                }
                pass(Point::AfterProduce);
                pass(Point::BeforeSendOffsets);
                store::set_committed(sql, &group, &part.partition, part.next_offset, part.mark)?;
            }
            store::leave_gaps(sql, &written)?;
            pass(Point::BeforeCommit);
            Ok(())
        };
        self.database.write("committing", commit).await?;
        pass_async(Point::AfterCommit).await;
        Ok(Vec::new())
    }

    async fn close(&self, _deadline: Duration) {
        drop(locked(&self.held).take());
    }
}

/// Reads what the subscription names and pushes it to the stage, as far as the intake lets it.
struct Feeder {
    database: Database,
    group: Arc<str>,
    epoch: Epoch,
    subscription: Subscription,
    intake: Arc<Intake>,
    heartbeat: Arc<Heartbeat>,
    events: UnboundedSender<MemberEvent>,
    /// The next offset to read, by partition.
    next: BTreeMap<PartitionId, (Topic, i64)>,
}

impl Feeder {
    /// Fails when a topic that is subscribed to by name does not exist.
    async fn check_topics(&self) -> Result<(), FlowError> {
        let topics = self.database.read("listing topics", store::topics).await?;
        let missing = self.subscription.topics.iter().find(|name| !topics.iter().any(|topic| *topic.name == ***name));
        missing.map_or(Ok(()), |topic| Err(FlowError::UnknownTopic { topic: topic.clone() }))
    }

    async fn run(mut self, stop: CancellationToken) {
        let trimmer = tokio::spawn(trim_for_ever(self.database.clone()));
        let result = stop.run_until_cancelled(self.feed()).await;
        trimmer.abort();
        if let Some(Err(error)) = result {
            // The stage may be gone already: then nobody needs to know.
            let _ = self.events.send(MemberEvent::Failed(error));
        }
    }

    async fn feed(&mut self) -> Result<(), FlowError> {
        let (mut changes, intake) = (self.database.changes(), Arc::clone(&self.intake));
        loop {
            self.heartbeat.beat();
            changes.mark_unchanged();
            let opened = intake.changed();
            tokio::pin!(opened);
            // Registered before the round, so that no change on the way is missed.
            opened.as_mut().enable();
            let fed = match self.feed_once().await {
                Ok(fed) => fed,
                Err(error) if error.class() == Class::Retry => {
                    warn!(group = %self.group, code = error.code(), %error, "cannot read the log, trying again");
                    tokio::time::sleep(IDLE_POLL_INTERVAL).await;
                    continue;
                }
                Err(error) => return Err(error),
            };
            if fed {
                continue;
            }
            tokio::select! {
                changed = changes.changed() => changed.map_err(|_| FlowError::Closed)?,
                () = opened => {}
                () = tokio::time::sleep(IDLE_POLL_INTERVAL) => {}
            }
        }
    }

    /// Goes round all partitions that may be read once; `false` when there was nothing.
    async fn feed_once(&mut self) -> Result<bool, FlowError> {
        self.find_partitions().await?;
        let mut fed = false;
        for partition in self.next.keys().cloned().collect::<Vec<_>>() {
            if !self.intake.admits(&partition.topic) {
                continue;
            }
            let (topic, from) = self.next[&partition].clone();
            let number = partition.partition;
            let read = move |sql: &rusqlite::Transaction<'_>| store::read(sql, &topic, number, from, BATCH);
            for record in self.database.read("reading", read).await? {
                if !self.intake.admits(&partition.topic) {
                    break;
                }
                fed = true;
                self.push(&partition, record)?;
            }
        }
        Ok(fed)
    }

    fn push(&mut self, partition: &PartitionId, record: Record) -> Result<(), FlowError> {
        if let Some((_, next)) = self.next.get_mut(partition) {
            *next = record.offset + 1;
        }
        self.intake.take(&record.topic, Load::of(&record));
        self.events.send(MemberEvent::Record { record, epoch: self.epoch }).map_err(|_| FlowError::Closed)
    }

    /// Assigns the partitions of topics that are new since the last look.
    async fn find_partitions(&mut self) -> Result<(), FlowError> {
        let known: Vec<PartitionId> = self.next.keys().cloned().collect();
        let (subscription, group) = (self.subscription.clone(), Arc::clone(&self.group));
        let find = move |sql: &rusqlite::Transaction<'_>| {
            let mut found = Vec::new();
            for topic in store::topics(sql)?.into_iter().filter(|topic| subscription.matches(&topic.name)) {
                for partition in 0..topic.partitions {
                    let id = PartitionId { topic: Arc::clone(&topic.name), partition };
                    if known.binary_search(&id).is_ok() {
                        continue;
                    }
                    let ends = store::ends(sql, topic.id, partition)?;
                    let committed = store::committed(sql, &group, topic.id, partition)?;
                    found.push((id, topic.clone(), committed, ends));
                }
            }
            Ok(found)
        };
        let found = self.database.read("listing partitions", find).await?;
        let mut assigned = Vec::new();
        for (partition, topic, committed, (low, end)) in found {
            let (offset, committed) = committed.unzip();
            let start = start_offset(&self.group, &partition, offset, low)?;
            assigned.push(Assignment { partition: partition.clone(), epoch: self.epoch, start, end, committed });
            self.next.insert(partition, (topic, start));
        }
        if !assigned.is_empty() {
            self.events.send(MemberEvent::Assigned(assigned)).map_err(|_| FlowError::Closed)?;
        }
        Ok(())
    }
}

async fn trim_for_ever(database: Database) {
    loop {
        tokio::time::sleep(TRIM_INTERVAL).await;
        if let Err(error) = database.write("removing old records", |sql| trim::trim(sql, now_ms())).await {
            warn!(code = error.code(), %error, "cannot remove old records");
        }
    }
}
