//! A compacted topic, followed: the newest value of each key, and how fresh that is.
//!
//! The table reads from the beginning and goes on for ever. When the log fails it keeps what it
//! has, grows old, and reads again from the beginning into a new map, since tombstones may have
//! been compacted away meanwhile; it changes to that once it has reached the end.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock, RwLockWriteGuard};
use std::time::Duration;

use precis_base::lock;
use precis_telemetry::metrics::Gauge;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout_at};
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

use crate::error::{Class, FlowError};
use crate::log::{Log, ReadStart, Reader};
use crate::values::Record;

/// How long one look for news lasts: as often the age of the table is told.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How long to wait before a log that failed is read again.
const BACKOFF: Duration = Duration::from_secs(2);

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// A compacted topic, followed. Cheap to clone; the following ends with the last clone.
#[derive(Clone, Debug)]
pub struct Table {
    shared: Arc<Shared>,
    progress: watch::Receiver<Progress>,
    _following: Arc<AbortOnDropHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    topic: String,
    map: RwLock<Map>,
    /// Somebody waits for the table to be fresh.
    hurry: Notify,
}

#[derive(Clone, Debug, Default)]
struct Progress {
    end_reached: Option<Instant>,
    changes: u64,
    /// Set when the table will never be fresh again.
    failed: Option<String>,
}

impl Table {
    /// Starts to follow a topic. Fails when that cannot be started; later failures of the log make
    /// the table old.
    pub async fn follow(log: Arc<dyn Log>, topic: &str) -> Result<Self, FlowError> {
        let reader = log.reader(topic, ReadStart::Beginning).await?;
        let shared = Arc::new(Shared { topic: topic.to_owned(), map: RwLock::default(), hurry: Notify::new() });
        let (sender, progress) = watch::channel(Progress::default());
        let follower = Follower { log, shared: Arc::clone(&shared), progress: sender };
        let following = Arc::new(AbortOnDropHandle::new(tokio::spawn(follower.run(reader))));
        Ok(Self { shared, progress, _following: following })
    }

    /// The newest value of a key.
    pub fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        lock::read(&self.shared.map).get(key).cloned()
    }

    /// All keys with their newest values, by key.
    pub fn entries(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let map = lock::read(&self.shared.map);
        map.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// Time since the table last held everything that was committed; `None` before it first did.
    pub fn age(&self) -> Option<Duration> {
        self.progress.borrow().end_reached.map(|reached| reached.elapsed())
    }

    /// Whether the table held everything that was committed `within` ago.
    pub fn fresh_within(&self, within: Duration) -> bool {
        self.age().is_some_and(|age| age <= within)
    }

    /// Moves with every change of the table.
    pub fn changed(&self) -> TableChanges {
        TableChanges { seen: self.progress.borrow().changes, progress: self.progress.clone() }
    }

    /// How often the table has changed: as long as the number stays, so does what was read after
    /// asking for it.
    pub fn version(&self) -> u64 {
        self.progress.borrow().changes
    }

    /// Waits until the table holds everything that was committed before this call; `false` when
    /// that took too long.
    pub async fn catch_up(&self, timeout: Duration) -> bool {
        let asked = Instant::now();
        let mut progress = self.progress.clone();
        self.shared.hurry.notify_one();
        let caught_up = progress.wait_for(|progress| progress.end_reached.is_some_and(|reached| reached >= asked));
        matches!(timeout_at(asked + timeout, caught_up).await, Ok(Ok(_)))
    }

    /// Why the table will never be fresh again, when it will not: the log said something that
    /// waiting does not mend.
    pub fn failure(&self) -> Option<String> {
        self.progress.borrow().failed.clone()
    }
}

/// Waits for changes of a [`Table`].
#[derive(Clone, Debug)]
pub struct TableChanges {
    progress: watch::Receiver<Progress>,
    seen: u64,
}

impl TableChanges {
    /// Returns once the table has changed since the last call, or since this was made. `false`: it
    /// will not change any more.
    pub async fn wait(&mut self) -> bool {
        let seen = self.seen;
        match self.progress.wait_for(|progress| progress.changes != seen).await {
            Ok(progress) => {
                self.seen = progress.changes;
                true
            }
            Err(_) => false,
        }
    }
}

struct Follower {
    log: Arc<dyn Log>,
    shared: Arc<Shared>,
    progress: watch::Sender<Progress>,
}

impl Follower {
    async fn run(self, reader: Box<dyn Reader>) {
        let mut reader = Some(reader);
        loop {
            let error = match self.follow(reader.take()).await {
                Ok(never) => match never {},
                Err(error) => error,
            };
            warn!(topic = self.shared.topic, code = error.code(), %error, "cannot follow the topic");
            if error.class() != Class::Retry {
                self.progress.send_modify(|progress| progress.failed = Some(error.to_string()));
                return;
            }
            tokio::time::sleep(BACKOFF).await;
        }
    }

    /// Reads from the beginning on, into a new map until that has reached the end.
    async fn follow(&self, reader: Option<Box<dyn Reader>>) -> Result<std::convert::Infallible, FlowError> {
        let mut reader = match reader {
            Some(reader) => reader,
            None => self.log.reader(&self.shared.topic, ReadStart::Beginning).await?,
        };
        let mut building = Some(Map::new());
        loop {
            let record = tokio::select! {
                record = reader.next(POLL_INTERVAL) => record?,
                () = self.shared.hurry.notified() => {
                    reader.recheck_end();
                    continue;
                }
            };
            let reached = reader.end_reached();
            let changed = match &mut building {
                Some(map) => {
                    apply(map, record);
                    reached.is_some() && self.change_to(std::mem::take(map))
                }
                None => apply(&mut self.map(), record),
            };
            if reached.is_some() {
                building = None;
            }
            self.progress.send_if_modified(|progress| {
                let moved = changed || progress.end_reached < reached;
                progress.changes += u64::from(changed);
                progress.end_reached = progress.end_reached.max(reached);
                moved
            });
            let age = self.progress.borrow().end_reached.map_or(f64::INFINITY, |at| at.elapsed().as_secs_f64());
            Gauge::TableAgeSeconds.set(age, &[&self.shared.topic]);
        }
    }

    /// Whether that was a change.
    fn change_to(&self, map: Map) -> bool {
        let mut current = self.map();
        let changed = *current != map;
        *current = map;
        changed
    }

    fn map(&self) -> RwLockWriteGuard<'_, Map> {
        lock::write(&self.shared.map)
    }
}

/// Whether that was a change. A record without a key has no place in a table.
fn apply(map: &mut Map, record: Option<Record>) -> bool {
    let Some(Record { key: Some(key), value, .. }) = record else { return false };
    match value {
        Some(value) => map.insert(key, value.clone()) != Some(value),
        None => map.remove(&key).is_some(),
    }
}
