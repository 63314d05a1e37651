//! An object store in this process, which can be slow and can fail before or after it has done its
//! work.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use precis_objects::{ObjectError, ObjectInfo, ObjectStore, Put};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

pub(crate) struct MemoryStore {
    objects: Mutex<BTreeMap<String, Vec<u8>>>,
    trouble: Mutex<Trouble>,
}

struct Trouble {
    random: StdRng,
    /// Share of calls that fail, 0 to 1; half of them do their work first.
    share: f64,
    slowest: Duration,
}

impl MemoryStore {
    pub(crate) fn new() -> Arc<Self> {
        Self::troubled(0, 0.0, Duration::ZERO)
    }

    pub(crate) fn troubled(seed: u64, share: f64, slowest: Duration) -> Arc<Self> {
        let trouble = Trouble { random: StdRng::seed_from_u64(seed), share, slowest };
        Arc::new(Self { objects: Mutex::default(), trouble: Mutex::new(trouble) })
    }

    pub(crate) fn fail(&self, share: f64) {
        self.trouble.lock().unwrap().share = share;
    }

    pub(crate) fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        self.objects.lock().unwrap().clone()
    }

    async fn call<T>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&mut BTreeMap<String, Vec<u8>>) -> T,
    ) -> Result<T, ObjectError> {
        let (wait, fails, done_first) = {
            let trouble = &mut *self.trouble.lock().unwrap();
            let wait = trouble.slowest.mul_f64(trouble.random.random());
            (wait, trouble.random.random_bool(trouble.share), trouble.random.random_bool(0.5))
        };
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        let down = || ObjectError::Unavailable { operation, key: String::new(), detail: "as told".to_owned() };
        if fails && !done_first {
            return Err(down());
        }
        let result = work(&mut self.objects.lock().unwrap());
        if fails { Err(down()) } else { Ok(result) }
    }
}

#[async_trait]
impl ObjectStore for MemoryStore {
    async fn put_if_absent(&self, key: &str, bytes: Vec<u8>) -> Result<Put, ObjectError> {
        self.call("create", |objects| {
            if objects.contains_key(key) {
                return Put::Exists;
            }
            objects.insert(key.to_owned(), bytes);
            Put::Created
        })
        .await
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, ObjectError> {
        self.call("read", |objects| objects.get(key).cloned()).await
    }

    async fn get_range(&self, key: &str, _: Range<u64>) -> Result<Option<Vec<u8>>, ObjectError> {
        panic!("nothing here reads parts of {key}")
    }

    async fn list(&self, prefix: &str, limit: usize) -> Result<Vec<ObjectInfo>, ObjectError> {
        self.call("list", |objects| {
            let found = objects.iter().filter(|(key, _)| key.starts_with(prefix)).take(limit);
            found.map(|(key, bytes)| ObjectInfo { key: key.clone(), size: bytes.len() as u64 }).collect()
        })
        .await
    }

    async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        self.call("delete", |objects| drop(objects.remove(key))).await
    }

    fn describe(&self) -> String {
        "memory".to_owned()
    }
}
