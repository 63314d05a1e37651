//! Liveness and readiness of a process, as its components report them.
//!
//! A service registers its components. A component that loops *ticks*. A component that has not
//! ticked for longer than it promised hangs: the process is not live, and an orchestrator restarts
//! it. A component says *ready* when it can do its work, and *unready* with a reason while it
//! cannot. The process is ready when it has components and all of them are ready.
//!
//! ```text
//!              set_ready                    finish
//! starting ──────────────▶ ready ─────────────────▶ finished: live, and counts as ready
//!     ▲  set_unready         │ drop without finish
//!     └──────────────────────┴───────────────────▶ lost: not live
//! ```
//!
//! **Liveness never depends on anything outside of the process.** A loop ticks while its broker is
//! unreachable: a restart would only add a rebalance to an outage.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use precis_base::lock::locked;
use serde::Serialize;

/// Health of a process, made of its components' reports. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Health(Arc<Registry>);

#[derive(Debug)]
struct Registry {
    epoch: Instant,
    components: Mutex<Vec<Arc<ComponentState>>>,
}

#[derive(Debug)]
struct ComponentState {
    name: String,
    stall_after: Option<Duration>,
    last_tick_ms: AtomicU64,
    phase: Mutex<Phase>,
}

#[derive(Debug, Clone)]
enum Phase {
    Unready(String),
    Ready,
    Finished,
    Lost,
}

/// One component's end of a [`Health`]. Share it in an [`Arc`] where several tasks report.
#[derive(Debug)]
pub struct Component {
    state: Arc<ComponentState>,
    epoch: Instant,
}

/// What `/livez` and `/readyz` answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether every component ticks and none was lost.
    pub live: bool,
    /// Whether there are components and all of them are ready.
    pub ready: bool,
    /// Each component, in order of registration.
    pub components: Vec<ComponentReport>,
}

/// One component in a [`Report`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ComponentReport {
    /// Its name.
    pub name: String,
    /// Whether it ticks and was not lost.
    pub live: bool,
    /// Whether it can do its work, or has finished it.
    pub ready: bool,
    /// Why it is not ready or not live; empty when all is well.
    pub reason: String,
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

impl Health {
    /// A process without components: live, not ready.
    pub fn new() -> Self {
        Self(Arc::new(Registry { epoch: Instant::now(), components: Mutex::default() }))
    }

    /// Adds a component that promises to [`Component::tick`] more often than every `stall_after`.
    /// Choose a time well above its longest step, since a late tick restarts the process. The
    /// component starts unready.
    pub fn register(&self, name: impl Into<String>, stall_after: Duration) -> Component {
        self.add(name.into(), Some(stall_after))
    }

    /// Adds a component that does not tick. It is live until it is dropped without
    /// [`Component::finish`].
    pub fn register_without_ticks(&self, name: impl Into<String>) -> Component {
        self.add(name.into(), None)
    }

    /// The present report of every component.
    pub fn report(&self) -> Report {
        self.report_at(Instant::now())
    }

    fn report_at(&self, now: Instant) -> Report {
        let now_ms = milliseconds(now.saturating_duration_since(self.0.epoch));
        let components: Vec<_> = locked(&self.0.components).iter().map(|state| state.report(now_ms)).collect();
        Report {
            live: components.iter().all(|component| component.live),
            ready: !components.is_empty() && components.iter().all(|component| component.live && component.ready),
            components,
        }
    }

    fn add(&self, name: String, stall_after: Option<Duration>) -> Component {
        let state = Arc::new(ComponentState {
            name,
            stall_after,
            last_tick_ms: AtomicU64::new(milliseconds(self.0.epoch.elapsed())),
            phase: Mutex::new(Phase::Unready("starting".to_owned())),
        });
        locked(&self.0.components).push(Arc::clone(&state));
        Component { state, epoch: self.0.epoch }
    }
}

impl Component {
    /// Says that the component's loop still runs. Cheap: one atomic store.
    pub fn tick(&self) {
        self.state.last_tick_ms.store(milliseconds(self.epoch.elapsed()), Ordering::Relaxed);
    }

    /// Says that the component can do its work.
    pub fn set_ready(&self) {
        *locked(&self.state.phase) = Phase::Ready;
    }

    /// Says that the component cannot do its work now. The reason is short and holds no secret.
    pub fn set_unready(&self, reason: impl Into<String>) {
        *locked(&self.state.phase) = Phase::Unready(reason.into());
    }

    /// Says that the component's work ended well. Nothing more is expected of it.
    pub fn finish(self) {
        *locked(&self.state.phase) = Phase::Finished;
    }
}

impl Drop for Component {
    fn drop(&mut self) {
        let mut phase = locked(&self.state.phase);
        if !matches!(*phase, Phase::Finished) {
            *phase = Phase::Lost;
        }
    }
}

impl ComponentState {
    fn report(&self, now_ms: u64) -> ComponentReport {
        let phase = locked(&self.phase).clone();
        let (live, ready, reason) = match (phase, self.stalled_for(now_ms)) {
            (Phase::Finished, _) | (Phase::Ready, None) => (true, true, String::new()),
            (Phase::Unready(reason), None) => (true, false, reason),
            (Phase::Lost, _) => (false, false, "stopped without finishing".to_owned()),
            (_, Some(silent_ms)) => (false, false, format!("has not ticked for {silent_ms} ms")),
        };
        ComponentReport { name: self.name.clone(), live, ready, reason }
    }

    /// Milliseconds since the last tick, where these are more than the component promised.
    fn stalled_for(&self, now_ms: u64) -> Option<u64> {
        let silent_ms = now_ms.saturating_sub(self.last_tick_ms.load(Ordering::Relaxed));
        self.stall_after.filter(|limit| silent_ms > milliseconds(*limit)).map(|_| silent_ms)
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
