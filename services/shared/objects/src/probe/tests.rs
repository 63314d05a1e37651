#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Mutex;

use async_trait::async_trait;

use super::*;
use crate::store::ObjectInfo;

/// How a store in memory gets creates wrong.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    /// Overwrites and reports a create, as endpoints do that do not know the header.
    IgnoresTheCondition,
    /// Checks, lets others run, then writes.
    ChecksThenWrites,
    /// Answers correctly, and overwrites anyway.
    AnswersButOverwrites,
}

struct Memory {
    fault: Fault,
    objects: Mutex<HashMap<String, Vec<u8>>>,
}

#[async_trait]
impl ObjectStore for Memory {
    async fn put_if_absent(&self, key: &str, bytes: Vec<u8>) -> Result<Put, ObjectError> {
        let exists = self.objects.lock().unwrap().contains_key(key);
        if self.fault == Fault::ChecksThenWrites {
            tokio::task::yield_now().await;
        }
        if exists && self.fault != Fault::IgnoresTheCondition {
            if self.fault == Fault::AnswersButOverwrites {
                self.objects.lock().unwrap().insert(key.to_owned(), bytes);
            }
            return Ok(Put::Exists);
        }
        self.objects.lock().unwrap().insert(key.to_owned(), bytes);
        Ok(Put::Created)
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, ObjectError> {
        Ok(self.objects.lock().unwrap().get(key).cloned())
    }

    async fn get_range(&self, _: &str, _: Range<u64>) -> Result<Option<Vec<u8>>, ObjectError> {
        Ok(None)
    }

    async fn list(&self, _: &str, _: usize) -> Result<Vec<ObjectInfo>, ObjectError> {
        Ok(Vec::new())
    }

    async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        self.objects.lock().unwrap().remove(key);
        Ok(())
    }

    fn describe(&self) -> String {
        "memory".to_owned()
    }
}

async fn probe(fault: Fault) -> (Result<(), ObjectError>, usize) {
    let memory = Arc::new(Memory { fault, objects: Mutex::default() });
    let store: Arc<dyn ObjectStore> = Arc::clone(&memory) as _;
    let verdict = conditional_create(&store, S3_WRITERS).await;
    let left = memory.objects.lock().unwrap().len();
    (verdict, left)
}

#[tokio::test]
async fn a_store_with_one_winner_passes_and_the_probe_leaves_nothing() {
    assert_eq!(probe(Fault::None).await, (Ok(()), 0));
}

#[tokio::test]
async fn a_store_that_ignores_the_condition_is_refused() {
    let (verdict, left) = probe(Fault::IgnoresTheCondition).await;
    assert_eq!(verdict, Err(ObjectError::NotConditional { store: "memory".to_owned(), created: 16, writers: 16 }));
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_store_that_checks_and_then_writes_is_refused() {
    let (verdict, _) = probe(Fault::ChecksThenWrites).await;
    assert_eq!(verdict.unwrap_err().code(), "store_not_conditional");
}

#[tokio::test]
async fn a_store_that_overwrites_behind_a_right_answer_is_refused() {
    let (verdict, _) = probe(Fault::AnswersButOverwrites).await;
    assert_eq!(verdict.unwrap_err().code(), "store_not_conditional");
}
