//! Markers of records that run alone, because processes died with them in process.
//!
//! A marker is an object for each record and attempt, created before the attempt begins and never
//! removed. It holds the id of the process that began the attempt. So a process that asks again,
//! after a lost reply or because it got its partition back, is not taken for its own successor.
//!
//! Markers are few: records run alone only after two processes died in a row without getting
//! anything done. Only the next few starts of the stage read them; a lifecycle rule may remove
//! `attempts/` after days.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use precis_base::lock::locked;
use precis_flow::{Attempt, AttemptMarkers, Record, StageError};
use precis_objects::{ObjectStore, Put, keys};

use crate::{PipelineError, identity};

/// The markers of one stage in this process.
pub(crate) struct Attempts {
    store: Arc<dyn ObjectStore>,
    stage: String,
    process: [u8; 16],
    /// The keys of the markers of attempts that this process is at, by record and attempt: a note
    /// that one was survived need not look for its marker again.
    open: Mutex<HashMap<(String, Attempt), String>>,
}

impl Attempts {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, stage: &str) -> Self {
        Self { store, stage: stage.to_owned(), process: rand::random(), open: Mutex::default() }
    }

    /// This process's marker of the attempt, created if need be; `None` where too many processes
    /// died with the record before.
    async fn open(&self, digest: &str, attempt: Attempt) -> Result<Option<String>, PipelineError> {
        let mut deaths = 0;
        for number in 0_u32.. {
            let key = keys::attempt(&self.stage, digest, &format!("{}-{number}", attempt.as_str()));
            if self.store.put_if_absent(&key, self.process.to_vec()).await? == Put::Created {
                return Ok(Some(key));
            }
            // A marker that was removed in between counts as this process's own.
            if self.store.get(&key).await?.is_none_or(|process| process == self.process) {
                return Ok(Some(key));
            }
            deaths += u32::from(self.store.get(&survived(&key)).await?.is_none());
            if deaths == attempt.max_deaths() {
                return Ok(None);
            }
        }
        unreachable!("a record is not attempted four thousand million times")
    }
}

/// Key of the note that a marker's process survived its attempt.
fn survived(marker: &str) -> String {
    format!("{marker}-survived")
}

#[async_trait]
impl AttemptMarkers for Attempts {
    async fn begin(&self, record: &Record, attempt: Attempt) -> Result<bool, StageError> {
        let digest = digest(record);
        let marker = self.open(&digest, attempt).await.map_err(|error| error.into_stage(None))?;
        let Some(marker) = marker else { return Ok(false) };
        locked(&self.open).insert((digest, attempt), marker);
        Ok(true)
    }

    async fn survived(&self, record: &Record, attempt: Attempt) -> Result<(), StageError> {
        let marker = locked(&self.open).remove(&(digest(record), attempt));
        let Some(marker) = marker else { return Ok(()) };
        let noted = self.store.put_if_absent(&survived(&marker), self.process.to_vec()).await;
        noted.map(|_| ()).map_err(|error| PipelineError::from(error).into_stage(None))
    }
}

/// Names a record by position, origin and value: the offsets of a topic that is created anew start
/// at 0 again.
fn digest(record: &Record) -> String {
    let value = keys::hash_bytes(record.value.as_deref().unwrap_or_default());
    let origin = identity::format_origin(&identity::origin_of(record));
    keys::hash(&format!("{} {origin} {value}", record.position()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use precis_flow::{Headers, ORIGIN_HEADER};
    use precis_objects::DirectoryStore;

    use super::*;

    fn record(offset: i64) -> Record {
        Record {
            topic: "work.gpu".into(),
            partition: 3,
            offset,
            timestamp_ms: 0,
            key: None,
            value: Some(b"v".to_vec()),
            headers: Headers::new(),
        }
    }

    #[tokio::test]
    async fn third_process_does_not_begin_what_two_died_with() {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn ObjectStore> = Arc::new(DirectoryStore::open(folder.path(), 1_000_000).await.unwrap());
        let process = || Attempts::new(store.clone(), "gpu");
        let (one, other, two) = (process(), process(), process());
        for one in [&one, &one, &other] {
            assert!(one.begin(&record(7), Attempt::Process).await.unwrap());
        }
        assert!(!two.begin(&record(7), Attempt::Process).await.unwrap(), "two died with it");
        assert!(two.begin(&record(7), Attempt::Reject).await.unwrap(), "another attempt");
        assert!(two.begin(&record(8), Attempt::Process).await.unwrap(), "another record");
        let replayed = Record { headers: Headers::new().with(ORIGIN_HEADER, "work.gpu/3/7"), ..record(9) };
        assert!(two.begin(&replayed, Attempt::Process).await.unwrap(), "a copy starts afresh");
        let made_anew = Record { value: Some(b"w".to_vec()), ..record(7) };
        assert!(two.begin(&made_anew, Attempt::Process).await.unwrap(), "another record at the same place");
        let other = Attempts::new(store.clone(), "router");
        assert!(other.begin(&record(7), Attempt::Process).await.unwrap(), "another stage");
    }

    /// A process that lost its partition and survived does not count; two more deaths do.
    #[tokio::test]
    async fn survived_attempt_counts_as_no_death() {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn ObjectStore> = Arc::new(DirectoryStore::open(folder.path(), 1_000_000).await.unwrap());
        let process = || Attempts::new(store.clone(), "gpu");
        let (cut_off, died, too, last) = (process(), process(), process(), process());
        assert!(cut_off.begin(&record(7), Attempt::Process).await.unwrap());
        cut_off.survived(&record(7), Attempt::Process).await.unwrap();
        assert!(died.begin(&record(7), Attempt::Process).await.unwrap(), "its partition was lost, nobody died");
        assert!(too.begin(&record(7), Attempt::Process).await.unwrap(), "one death may be somebody else's doing");
        assert!(!last.begin(&record(7), Attempt::Process).await.unwrap(), "two died with it");
        last.survived(&record(7), Attempt::Process).await.unwrap();
        assert!(!process().begin(&record(7), Attempt::Process).await.unwrap(), "who never began it cannot clear it");
    }
}
