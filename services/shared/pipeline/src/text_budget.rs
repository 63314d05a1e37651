//! How many bytes of document text one process holds at once.
//!
//! A record of a few hundred bytes may refer to a text of megabytes, and many records may refer to
//! one text. So what is counted is not records but bytes: a document gets its bytes from here
//! before its text is fetched or decoded, and gives them back when the text is dropped.
//!
//! - **One request a document.** Nobody waits for bytes while it holds some, so no two documents
//!   wait for each other. Whoever has to wait drops what was decoded and reads it again afterwards.
//! - **In turns.** Each tenant has a queue, first in, first out, and tenants take turns. While
//!   others wait, a tenant that holds bytes gets none beyond half of the budget.
//! - **No overtaking by size.** When the next request does not fit, everybody waits until it does:
//!   otherwise small texts could keep a large one waiting for ever.
//! - **Alone if need be.** A text that is larger than the budget takes all of it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use precis_base::lock::locked;
use precis_schemas::Document;
use precis_telemetry::metrics::Gauge;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::PipelineError;

/// Bytes of text that a process holds at once unless its settings say otherwise.
pub const DEFAULT_MAX_BYTES: u64 = 64 * 1024 * 1024;

/// How often the gauges of a budget are set.
const SHOW_INTERVAL: Duration = Duration::from_secs(1);

/// A decoded record with the text that it has or refers to.
pub trait HoldsText {
    /// Its tenant.
    fn tenant(&self) -> &str;
    /// Bytes that it and its text take while it is processed, the record itself left out.
    fn held_bytes(&self) -> u64;
}

/// Bytes of the text that a document refers to, as it declares them. An inline text is part of the
/// document's own bytes. No more than that is ever fetched.
pub fn referred_bytes(document: &Document) -> u64 {
    document.body.as_ref().map_or(0, |body| u64::try_from(body.size_bytes).unwrap_or(0))
}

/// Bytes that work on a document takes: the document's own twice, encoded and decoded, and the text
/// that it refers to. A document that cannot be decoded refers to none.
pub fn work_bytes<E>(encoded: &[u8], document: &Result<Document, E>) -> u64 {
    let referred = document.as_ref().map_or(0, referred_bytes);
    (encoded.len() as u64).saturating_mul(2).saturating_add(referred)
}

/// The budget of one process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct TextBudget(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    max_bytes: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    held: u64,
    most_held: u64,
    tenants: BTreeMap<String, Tenant>,
    /// The tenants that wait; it is the first one's turn.
    turns: VecDeque<String>,
}

#[derive(Debug, Default)]
struct Tenant {
    held: u64,
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    bytes: u64,
    granted: oneshot::Sender<TextPermit>,
}

/// Bytes that a document holds, until it is dropped.
#[derive(Debug)]
pub struct TextPermit {
    budget: Option<Arc<Shared>>,
    tenant: String,
    bytes: u64,
}

impl Default for TextBudget {
    fn default() -> Self {
        Self::new(DEFAULT_MAX_BYTES)
    }
}

impl TextBudget {
    /// A budget of so many bytes, at least one.
    pub fn new(max_bytes: u64) -> Self {
        Self(Arc::new(Shared { max_bytes: max_bytes.max(1), state: Mutex::default() }))
    }

    /// Reads a record, and holds its bytes. Where they have to be waited for, what was read is
    /// dropped meanwhile and read again.
    ///
    /// # Errors
    /// Those of `read`; `waiting_ended` when `withdrawn` is cancelled before there is room.
    pub async fn hold<T: HoldsText>(
        &self,
        withdrawn: &CancellationToken,
        read: impl Fn() -> Result<T, PipelineError>,
    ) -> Result<(T, TextPermit), PipelineError> {
        let value = read()?;
        if let Some(permit) = self.try_acquire(value.tenant(), value.held_bytes()) {
            return Ok((value, permit));
        }
        let (tenant, bytes) = (value.tenant().to_owned(), value.held_bytes());
        drop(value);
        let permit = self.acquire(&tenant, bytes, withdrawn).await?;
        Ok((read()?, permit))
    }

    /// Takes bytes at once, or not at all.
    pub fn try_acquire(&self, tenant: &str, bytes: u64) -> Option<TextPermit> {
        let bytes = bytes.min(self.0.max_bytes);
        let mut state = self.lock();
        if !state.turns.is_empty() || state.held.saturating_add(bytes) > self.0.max_bytes {
            return None;
        }
        Some(state.grant(&self.0, tenant, bytes))
    }

    /// Waits for bytes; all of the budget for more than that.
    ///
    /// # Errors
    /// `waiting_ended` when `withdrawn` is cancelled meanwhile.
    pub async fn acquire(
        &self,
        tenant: &str,
        bytes: u64,
        withdrawn: &CancellationToken,
    ) -> Result<TextPermit, PipelineError> {
        let (granted, permit) = oneshot::channel();
        {
            let bytes = bytes.min(self.0.max_bytes);
            let mut state = self.lock();
            let known = state.tenants.entry(tenant.to_owned()).or_default();
            let begins_to_wait = known.waiting.is_empty();
            known.waiting.push_back(Waiting { bytes, granted });
            if begins_to_wait {
                state.turns.push_back(tenant.to_owned());
            }
            state.serve(&self.0);
        }
        tokio::select! {
            biased;
            () = withdrawn.cancelled() => Err(PipelineError::TextWaitEnded),
            permit = permit => permit.map_err(|_| PipelineError::TextWaitEnded),
        }
    }

    /// Shows how much of the budget a service uses, until the handle is dropped.
    #[must_use = "nothing is shown once the handle is dropped"]
    pub fn show(&self, service: &'static str) -> AbortOnDropHandle<()> {
        let budget = self.clone();
        AbortOnDropHandle::new(tokio::spawn(async move {
            let mut tick = tokio::time::interval(SHOW_INTERVAL);
            loop {
                tick.tick().await;
                budget.show_now(service);
            }
        }))
    }

    fn show_now(&self, service: &str) {
        Gauge::TextBytesHeld.set(self.held_bytes() as f64, &[service]);
        Gauge::TextBytesLimit.set(self.0.max_bytes as f64, &[service]);
    }

    /// Bytes that are held now.
    pub fn held_bytes(&self) -> u64 {
        self.lock().held
    }

    /// The most bytes that were ever held at once.
    pub fn most_held_bytes(&self) -> u64 {
        self.lock().most_held
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        locked(&self.0.state)
    }
}

impl State {
    fn grant(&mut self, budget: &Arc<Shared>, tenant: &str, bytes: u64) -> TextPermit {
        self.held += bytes;
        self.most_held = self.most_held.max(self.held);
        self.tenants.entry(tenant.to_owned()).or_default().held += bytes;
        TextPermit { budget: Some(budget.clone()), tenant: tenant.to_owned(), bytes }
    }

    /// Gives bytes to those that wait, in turns, until the next request does not fit.
    fn serve(&mut self, budget: &Arc<Shared>) {
        loop {
            self.forget_withdrawn();
            let Some(at) = self.next_turn(budget.max_bytes) else { return };
            let Some(tenant) = self.turns.get(at).cloned() else { return };
            let Some(known) = self.tenants.get_mut(&tenant) else { return };
            let fits = |waiting: &mut Waiting| self.held.saturating_add(waiting.bytes) <= budget.max_bytes;
            let Some(next) = known.waiting.pop_front_if(fits) else { return };
            self.turns.remove(at);
            if !known.waiting.is_empty() {
                self.turns.push_back(tenant.clone());
            }
            let permit = self.grant(budget, &tenant, next.bytes);
            if let Err(mut unwanted) = next.granted.send(permit) {
                // Its drop would lock the budget, which is locked already.
                unwanted.budget = None;
                self.release(&tenant, next.bytes);
            }
        }
    }

    /// Whose turn it is: the first tenant that may hold more while others wait; without any, the
    /// first of all.
    fn next_turn(&self, max_bytes: u64) -> Option<usize> {
        let may_hold_more = |name: &String| {
            self.tenants.get(name).is_some_and(|tenant| {
                let next = tenant.waiting.front().map_or(0, |waiting| waiting.bytes);
                tenant.held == 0 || tenant.held.saturating_add(next) <= max_bytes / 2
            })
        };
        if self.turns.is_empty() {
            return None;
        }
        Some(self.turns.iter().position(may_hold_more).unwrap_or(0))
    }

    /// Removes the requests that nobody waits for any more.
    fn forget_withdrawn(&mut self) {
        for name in &self.turns {
            if let Some(tenant) = self.tenants.get_mut(name) {
                tenant.waiting.retain(|waiting| !waiting.granted.is_closed());
            }
        }
        self.turns.retain(|name| self.tenants.get(name).is_some_and(|tenant| !tenant.waiting.is_empty()));
        self.tenants.retain(|_, tenant| tenant.held > 0 || !tenant.waiting.is_empty());
    }

    fn release(&mut self, tenant: &str, bytes: u64) {
        self.held = self.held.saturating_sub(bytes);
        if let Some(known) = self.tenants.get_mut(tenant) {
            known.held = known.held.saturating_sub(bytes);
            if known.held == 0 && known.waiting.is_empty() {
                self.tenants.remove(tenant);
            }
        }
    }
}

impl Drop for TextPermit {
    fn drop(&mut self) {
        let Some(budget) = self.budget.take() else { return };
        let mut state = locked(&budget.state);
        state.release(&self.tenant, self.bytes);
        state.serve(&budget);
    }
}

#[cfg(test)]
mod tests;
