//! The adapters in memory: loaded when a request names one, dropped when another needs the room.
//!
//! ```text
//! request ─▶ in memory? ──yes──▶ lease
//!              │ no
//!              ▼
//!            can it ever fit? ──no──▶ refused, with the numbers
//!              │ yes
//!              ▼
//!            room? ──no──▶ drop the adapter that was used longest ago and that nobody uses; wait ─▶ again
//!              │ yes
//!              ▼
//!            read, check, pack ─▶ lease
//! ```
//!
//! A lease keeps its adapter in memory; each request holds one until its answer is there. One
//! request at a time makes room and reads, and while it waits for room, later requests wait behind
//! it: leases end, so it gets its room. Bytes count until the last copy is gone, the engine
//! thread's too.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use precis_base::lock::locked;
use tokio::sync::{Notify, mpsc};

use super::memory::available_bytes;
use super::worker::Message;
use crate::error::EngineError;
use crate::models::adapters::{AdapterBase, AdapterEntry, read};
use crate::step::Adapter;

/// An adapter in memory, as the engine thread takes it.
#[derive(Debug)]
pub(crate) struct LoadedAdapter {
    /// Its number, for the engine's lifetime.
    pub(crate) slot: u32,
    pub(crate) factors: Arc<Adapter>,
}

/// The use of an adapter by one request.
#[derive(Debug)]
pub(crate) struct AdapterLease {
    pub(crate) adapter: Arc<LoadedAdapter>,
    digest: String,
    memory: Arc<AdapterMemory>,
}

impl Drop for AdapterLease {
    fn drop(&mut self) {
        if let Some(cached) = self.memory.state().loaded.get_mut(&self.digest) {
            cached.users -= 1;
        }
        self.memory.changed.notify_waiters();
    }
}

/// Adapters of one engine.
pub(crate) struct AdapterCache {
    base: Option<AdapterBase>,
    memory: Arc<AdapterMemory>,
    /// Held by the one request that makes room and reads.
    turn: tokio::sync::Mutex<()>,
    inbox: mpsc::UnboundedSender<Message>,
}

/// The bytes that adapters take, and who uses them. The engine thread's copies hold it, so it must
/// not hold a sender to that thread.
#[derive(Debug)]
pub(crate) struct AdapterMemory {
    capacity: u64,
    state: Mutex<State>,
    /// Told whenever a lease or an adapter's memory ends.
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// By digest of the files.
    loaded: BTreeMap<String, Cached>,
    /// Bytes of all adapters that are in memory or being read.
    taken: u64,
    /// Of these, bytes of adapters that were dropped here and not yet by the engine thread.
    leaving: u64,
    next_slot: u32,
    /// Counts leases; the order of uses.
    clock: u64,
    /// Whether a request waits for room: later ones wait behind it.
    is_crowded: bool,
}

#[derive(Debug)]
struct Cached {
    adapter: Arc<LoadedAdapter>,
    bytes: u64,
    users: usize,
    last_use: u64,
    /// Shared with the adapter's room.
    leaves: Arc<AtomicBool>,
}

/// Bytes taken from the bound, given back when this is dropped.
#[derive(Debug)]
struct Room {
    bytes: u64,
    memory: Arc<AdapterMemory>,
    /// Whether the bytes count as leaving.
    leaves: Arc<AtomicBool>,
}

impl Drop for Room {
    fn drop(&mut self) {
        {
            let mut state = self.memory.state();
            state.taken -= self.bytes;
            if self.leaves.load(Ordering::Relaxed) {
                state.leaving -= self.bytes;
            }
        }
        self.memory.changed.notify_waiters();
    }
}

impl AdapterMemory {
    fn state(&self) -> MutexGuard<'_, State> {
        // Every change of the state is whole before anything in it can panic.
        locked(&self.state)
    }

    /// A lease of an adapter that is in memory.
    fn lease(self: &Arc<Self>, digest: &str) -> Option<AdapterLease> {
        let mut state = self.state();
        state.clock += 1;
        let clock = state.clock;
        let cached = state.loaded.get_mut(digest)?;
        cached.users += 1;
        cached.last_use = clock;
        Some(AdapterLease { adapter: Arc::clone(&cached.adapter), digest: digest.to_owned(), memory: Arc::clone(self) })
    }
}

/// The next thing to do for room.
enum Step {
    Taken(Room),
    Dropped(Arc<LoadedAdapter>),
    Wait,
}

impl AdapterCache {
    /// A cache for adapters of this model that take `capacity` bytes together, at most; `None` for
    /// engines without a model's file, which have no adapters.
    pub(crate) fn new(base: Option<AdapterBase>, capacity: u64, inbox: mpsc::UnboundedSender<Message>) -> Self {
        let memory = AdapterMemory { capacity, state: Mutex::default(), changed: Notify::new() };
        Self { base, memory: Arc::new(memory), turn: tokio::sync::Mutex::new(()), inbox }
    }

    /// A lease of this adapter, which is read if it is not in memory. Waits for room.
    pub(crate) async fn lease(&self, entry: &AdapterEntry) -> Result<AdapterLease, EngineError> {
        let is_crowded = self.memory.state().is_crowded;
        if !is_crowded && let Some(lease) = self.memory.lease(&entry.sha256) {
            return Ok(lease);
        }
        let _turn = self.turn.lock().await;
        if let Some(lease) = self.memory.lease(&entry.sha256) {
            return Ok(lease);
        }
        let base =
            self.base.clone().ok_or_else(|| entry.broken("this engine has no model that adapters could change"))?;
        let room = self.room(entry).await?;
        let (reader, leaves) = (entry.clone(), Arc::clone(&room.leaves));
        let work = move || {
            let adapter = read(&reader, &base)?;
            if adapter.bytes() != reader.bytes {
                return Err(reader.broken("its entry has another size than its files: register it again"));
            }
            Ok(adapter.holding(Box::new(room)))
        };
        let factors = tokio::task::spawn_blocking(work).await;
        let factors = factors.map_err(|error| entry.broken(format!("reading it failed: {error}")))??;
        let mut state = self.memory.state();
        let slot = state.next_slot;
        state.next_slot += 1;
        let adapter = Arc::new(LoadedAdapter { slot, factors: Arc::new(factors) });
        state.clock += 1;
        let last_use = state.clock;
        let cached = Cached { adapter: Arc::clone(&adapter), bytes: entry.bytes, users: 1, last_use, leaves };
        state.loaded.insert(entry.sha256.clone(), cached);
        drop(state);
        tracing::info!(adapter = entry.name, bytes = entry.bytes, "an adapter is in memory");
        Ok(AdapterLease { adapter, digest: entry.sha256.clone(), memory: Arc::clone(&self.memory) })
    }

    /// Bytes of the bound for this adapter.
    async fn room(&self, entry: &AdapterEntry) -> Result<Room, EngineError> {
        let allowed_bytes = self.memory.capacity.min(available_bytes().unwrap_or(u64::MAX));
        if entry.bytes > allowed_bytes {
            let (name, needed_bytes) = (entry.name.clone(), entry.bytes);
            return Err(EngineError::AdapterTooLarge { name, needed_bytes, allowed_bytes });
        }
        let crowd = Crowd(Arc::clone(&self.memory));
        loop {
            let changed = self.memory.changed.notified();
            tokio::pin!(changed);
            // From here on no change is missed.
            changed.as_mut().enable();
            match self.step(entry.bytes) {
                Step::Taken(room) => return Ok(room),
                Step::Dropped(adapter) => {
                    // A message that cannot be sent means that the engine has stopped, and its
                    // thread has dropped all adapters.
                    let _ = self.inbox.send(Message::DropAdapter(adapter.slot));
                }
                Step::Wait => {
                    crowd.0.state().is_crowded = true;
                    changed.await;
                }
            }
        }
    }

    fn step(&self, bytes: u64) -> Step {
        let mut state = self.memory.state();
        if state.taken + bytes <= self.memory.capacity {
            state.taken += bytes;
            return Step::Taken(Room { bytes, memory: Arc::clone(&self.memory), leaves: Arc::default() });
        }
        if state.taken - state.leaving + bytes <= self.memory.capacity {
            return Step::Wait;
        }
        let idle = state.loaded.iter().filter(|(_, cached)| cached.users == 0);
        let Some(oldest) = idle.min_by_key(|(_, cached)| cached.last_use).map(|(digest, _)| digest.clone()) else {
            return Step::Wait;
        };
        let Some(cached) = state.loaded.remove(&oldest) else { return Step::Wait };
        state.leaving += cached.bytes;
        cached.leaves.store(true, Ordering::Relaxed);
        Step::Dropped(cached.adapter)
    }

    /// Bytes of all adapters in memory, and their number.
    pub(crate) fn in_memory(&self) -> (u64, usize) {
        let state = self.memory.state();
        (state.taken, state.loaded.len())
    }
}

/// Ends the crowd when the request that waited has its room, or is dropped.
struct Crowd(Arc<AdapterMemory>);

impl Drop for Crowd {
    fn drop(&mut self) {
        self.0.state().is_crowded = false;
    }
}

#[cfg(test)]
impl AdapterLease {
    /// A lease of an adapter without products, in this slot.
    pub(crate) fn empty(slot: u32) -> Self {
        let memory = AdapterMemory { capacity: 0, state: Mutex::default(), changed: Notify::new() };
        let adapter = LoadedAdapter { slot, factors: Arc::new(Adapter::new(0)) };
        Self { adapter: Arc::new(adapter), digest: String::new(), memory: Arc::new(memory) }
    }
}

#[cfg(test)]
mod tests;
