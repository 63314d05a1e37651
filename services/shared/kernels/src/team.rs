//! A team of threads that computes one operation after another.
//!
//! A step of a model is a few hundred operations of some tens of microseconds each, so starting one
//! must cost far less than a system call. So members spin for a while before they sleep. The thread
//! that calls works too, and an operation is over when all its parts are done. A member that got no
//! core from the system is not waited for: it finds the gate closed when it comes. Otherwise one
//! busy neighbour on the machine would delay every operation.
//!
//! ```text
//! caller:  job := f ─ open gate ─ wake sleepers ─ f(0) until no part is left ─ close gate ─ wait for those inside ─▶ done
//! member:      spin (then sleep) until the gate opens ─ enter, unless it is closed ─ f(index) ─ leave ─▶ spin again
//! ```
//!
//! Which thread computes a part has no influence on results: parts write to places of their own.

use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle, Thread};

/// Reads of the gate before a member sleeps: about a tenth of a millisecond, the time between two
/// steps.
const SPINS_BEFORE_SLEEP: u32 = 8_000;
/// Reads of the gate before the caller, waiting for unfinished members, yields its core to other
/// threads: one of them may need that core.
const SPINS_BEFORE_YIELD: u32 = 20_000;

/// The work of a turn: called once with each member's index.
type Job<'a> = &'a (dyn Fn(usize) + Sync + 'a);

/// The gate's value is `turn × TURN_UNIT + (GATE_CLOSED) + members inside`.
const TURN_UNIT: u64 = 1 << 16;
const GATE_CLOSED: u64 = 1 << 15;
const INSIDE_MASK: u64 = GATE_CLOSED - 1;

struct TeamState {
    gate: AtomicU64,
    job: UnsafeCell<Option<Job<'static>>>,
    asleep: Vec<AtomicBool>,
    panicked: AtomicBool,
    stop: AtomicBool,
}

// SAFETY: `job` is written by the one caller while the gate is closed and nobody inside, and read
// by members between entering (which sees the open gate: release, acquire) and leaving (release,
// acquire again).
unsafe impl Sync for TeamState {}
// SAFETY: as above; a job is only called while its caller waits.
unsafe impl Send for TeamState {}

/// Threads that compute together, the calling one among them.
pub struct Team {
    turns: Arc<TeamState>,
    members: Vec<JoinHandle<()>>,
    wake: Vec<Thread>,
}

impl Team {
    /// A team of `threads`, at least one.
    pub fn new(threads: usize) -> Self {
        let others = threads.max(1) - 1;
        // The gate counts those inside below the bit that closes it.
        assert!((others as u64) < GATE_CLOSED, "a team has at most {GATE_CLOSED} threads, not {threads}");
        let turns = Arc::new(TeamState {
            gate: AtomicU64::new(GATE_CLOSED),
            job: UnsafeCell::new(None),
            asleep: (0..others).map(|_| AtomicBool::new(false)).collect(),
            panicked: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        let start = |index: usize| {
            let turns = Arc::clone(&turns);
            let builder = thread::Builder::new().name(format!("compute-{}", index + 1));
            builder.spawn(move || member(&turns, index)).expect("the system can start a few more threads")
        };
        let members: Vec<_> = (0..others).map(start).collect();
        let wake = members.iter().map(|member| member.thread().clone()).collect();
        Self { turns, members, wake }
    }

    /// Threads that work, the caller's included.
    pub fn threads(&self) -> usize {
        self.members.len() + 1
    }

    /// Calls `work` with every number below `parts`, each once, on whichever thread is free.
    /// `states` gives each thread one value of its own. Returns when all parts are done; a panic in
    /// one of them is passed on then.
    pub fn share<S: Send>(&mut self, states: &mut [S], parts: usize, work: impl Fn(&mut S, usize) + Sync) {
        assert!(states.len() >= self.threads(), "every thread needs a state");
        let next = AtomicUsize::new(0);
        let states = crate::memory::SharedSlice::new(states);
        let take = |member: usize| {
            // SAFETY: member indices of one turn differ, so no two threads have the same state.
            let state = &mut unsafe { states.slice(member, 1) }[0];
            loop {
                let part = next.fetch_add(1, Ordering::Relaxed);
                if part >= parts {
                    return;
                }
                work(state, part);
            }
        };
        if parts > 1 { self.turn(&take) } else { take(0) }
    }

    fn turn(&mut self, job: Job<'_>) {
        let others = self.members.len();
        if others == 0 {
            job(0);
            return;
        }
        let turns = &*self.turns;
        // SAFETY: the lifetime is forgotten only until nobody is inside any more, which is waited
        // for below even when `job` panics. Nobody reads `job` now: the gate is closed since the
        // last turn, and all have left.
        unsafe { *turns.job.get() = Some(std::mem::transmute::<Job<'_>, Job<'static>>(job)) };
        let turn = turns.gate.load(Ordering::Relaxed) / TURN_UNIT + 1;
        // Sequentially consistent with `asleep`: either the member sees the open gate or the caller
        // sees it asleep.
        turns.gate.store(turn * TURN_UNIT, Ordering::SeqCst);
        for (asleep, thread) in turns.asleep.iter().zip(&self.wake) {
            if asleep.swap(false, Ordering::SeqCst) {
                thread.unpark();
            }
        }
        let own = catch_unwind(AssertUnwindSafe(|| job(0)));
        turns.gate.fetch_or(GATE_CLOSED, Ordering::AcqRel);
        let mut spins = 0;
        while turns.gate.load(Ordering::Acquire) & INSIDE_MASK > 0 {
            spins += 1;
            if spins < SPINS_BEFORE_YIELD { std::hint::spin_loop() } else { thread::yield_now() }
        }
        if let Err(panic) = own {
            turns.panicked.store(false, Ordering::Relaxed);
            resume_unwind(panic);
        }
        assert!(!turns.panicked.swap(false, Ordering::Relaxed), "a member of the team panicked");
    }
}

fn member(turns: &TeamState, index: usize) {
    let mut seen = 0;
    loop {
        seen = next_turn(turns, index, seen);
        if turns.stop.load(Ordering::Acquire) {
            return;
        }
        if !enter(turns, seen) {
            continue;
        }
        // SAFETY: inside, so the caller has written the job and waits before it writes again.
        if let Some(job) = unsafe { *turns.job.get() }
            && catch_unwind(AssertUnwindSafe(|| job(index + 1))).is_err()
        {
            turns.panicked.store(true, Ordering::Relaxed);
        }
        turns.gate.fetch_sub(1, Ordering::Release);
    }
}

/// Waits for another turn than `seen`: spins for a while, then sleeps.
fn next_turn(turns: &TeamState, index: usize, seen: u64) -> u64 {
    for _ in 0..SPINS_BEFORE_SLEEP {
        let turn = turns.gate.load(Ordering::Acquire) / TURN_UNIT;
        if turn != seen {
            return turn;
        }
        std::hint::spin_loop();
    }
    loop {
        // Set again before each sleep: the caller may have reset it late, for a turn that this
        // member has already done.
        turns.asleep[index].store(true, Ordering::SeqCst);
        let turn = turns.gate.load(Ordering::SeqCst) / TURN_UNIT;
        if turn != seen {
            turns.asleep[index].store(false, Ordering::SeqCst);
            return turn;
        }
        thread::park();
    }
}

/// Enters a turn, if its gate is still open.
fn enter(turns: &TeamState, turn: u64) -> bool {
    let mut now = turns.gate.load(Ordering::Acquire);
    while now / TURN_UNIT == turn && now & GATE_CLOSED == 0 {
        match turns.gate.compare_exchange_weak(now, now + 1, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return true,
            Err(other) => now = other,
        }
    }
    false
}

impl Drop for Team {
    fn drop(&mut self) {
        self.turns.stop.store(true, Ordering::Release);
        self.turns.gate.fetch_add(TURN_UNIT, Ordering::SeqCst);
        for thread in &self.wake {
            thread.unpark();
        }
        for member in self.members.drain(..) {
            // Members catch what they compute, so they end without a panic.
            let _ = member.join();
        }
    }
}

impl std::fmt::Debug for Team {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Team of {}", self.threads())
    }
}

#[cfg(test)]
mod tests;
