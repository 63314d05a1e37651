//! Markers of records that run alone, because processes died with them: an object a record and
//! attempt, created before the attempt begins and never removed. It holds which process began it,
//! so that one that asks again, after an answer that was lost or because it got its partition back,
//! is not taken for its own successor.
//!
//! They are few: records run alone only after two processes died in a row without getting anything
//! done. Nothing but the next few starts of the stage reads them; a lifecycle rule may remove
//! `attempts/` after days.

use std::sync::Arc;

use async_trait::async_trait;
use precis_flow::{Attempt, AttemptMarkers, Record, StageError};
use precis_objects::{ObjectStore, Put, keys};

use crate::PipelineError;

/// The markers of one stage in this process.
pub(crate) struct Attempts {
    store: Arc<dyn ObjectStore>,
    stage: String,
    process: [u8; 16],
}

impl Attempts {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, stage: &str) -> Self {
        Self { store, stage: stage.to_owned(), process: rand::random() }
    }

    /// This process's marker of the attempt, made if need be; `None`: as many processes as may died
    /// with it before.
    async fn open(&self, record: &Record, attempt: Attempt) -> Result<Option<String>, PipelineError> {
        let digest = digest(record);
        let mut deaths = 0;
        for number in 0_u32.. {
            let key = keys::attempt(&self.stage, &digest, &format!("{}-{number}", attempt.as_str()));
            if self.store.put_if_absent(&key, self.process.to_vec()).await? == Put::Created {
                return Ok(Some(key));
            }
            // Removed in between, it is as good as never written.
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

/// The key of the note that a marker's process outlived its attempt.
fn survived(marker: &str) -> String {
    format!("{marker}-survived")
}

#[async_trait]
impl AttemptMarkers for Attempts {
    async fn begin(&self, record: &Record, attempt: Attempt) -> Result<bool, StageError> {
        let marker = self.open(record, attempt).await.map_err(|error| error.into_stage(None))?;
        Ok(marker.is_some())
    }

    async fn survived(&self, record: &Record, attempt: Attempt) -> Result<(), StageError> {
        let note = async {
            if let Some(marker) = self.open(record, attempt).await? {
                self.store.put_if_absent(&survived(&marker), self.process.to_vec()).await?;
            }
            Ok::<(), PipelineError>(())
        };
        note.await.map_err(|error| error.into_stage(None))
    }
}

/// Names a record by where it lies, where it came from and what it says: a topic that is made anew
/// starts at 0 again.
fn digest(record: &Record) -> String {
    let value = keys::hash_bytes(record.value.as_deref().unwrap_or_default());
    keys::hash(&format!("{} {} {value}", record.position(), record.origin()))
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
    async fn a_record_that_two_processes_died_with_is_begun_by_no_third() {
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

    #[tokio::test]
    async fn a_record_that_a_process_survived_is_no_killer_until_another_dies_with_it() {
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
