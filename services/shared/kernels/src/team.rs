//! A team of threads that computes one operation after the other.
//!
//! A step of a model is a few hundred operations of some tens of microseconds each, so handing one out must cost far less
//! than a system call: members spin for the next operation for a while and only then sleep. The thread that calls works too.
//!
//! ```text
//! caller:  job := f ─ turn += 1 ─ wake sleepers ─ f(0) ──────── wait until busy = 0 ─▶ done
//! member:      spin (then sleep) until turn changes ─ f(index) ─ busy -= 1 ─▶ spin again
//! ```
//!
//! Who computes which part has no influence on results: parts write to places of their own.

use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle, Thread};

/// Looks at the next turn before a member sleeps: about a tenth of a millisecond, the time between two steps.
const SPINS: u32 = 8_000;
/// Looks of the caller at unfinished members before it lets other threads have its core: one of them may be waiting for it.
const PATIENCE: u32 = 20_000;

/// What a turn computes: called once with each member's index.
type Job<'a> = &'a (dyn Fn(usize) + Sync + 'a);

struct Turns {
    /// Changes when there is a new job.
    turn: AtomicUsize,
    job: UnsafeCell<Option<Job<'static>>>,
    /// Members that have not finished the job.
    busy: AtomicUsize,
    asleep: Vec<AtomicBool>,
    panicked: AtomicBool,
    stop: AtomicBool,
}

// SAFETY: `job` is written by the one caller while no member is busy, and read by members between the change of `turn`
// (release, acquire) and the end of their work (release, acquire on `busy`).
unsafe impl Sync for Turns {}
// SAFETY: as above; a job is only called while the caller that lent it waits.
unsafe impl Send for Turns {}

/// Threads that compute together, the calling one among them.
pub struct Team {
    turns: Arc<Turns>,
    members: Vec<JoinHandle<()>>,
    wake: Vec<Thread>,
}

impl Team {
    /// A team of `threads`, at least one.
    pub fn new(threads: usize) -> Self {
        let others = threads.max(1) - 1;
        let turns = Arc::new(Turns {
            turn: AtomicUsize::new(0),
            job: UnsafeCell::new(None),
            busy: AtomicUsize::new(0),
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

    /// Calls `work` with every number below `parts`, each once, on whichever thread is free. `states` gives each thread one
    /// value of its own. Returns when all parts are done; a panic in one of them is passed on then.
    pub fn share<S: Send>(&mut self, states: &mut [S], parts: usize, work: impl Fn(&mut S, usize) + Sync) {
        assert!(states.len() >= self.threads(), "every thread needs a state");
        let next = AtomicUsize::new(0);
        let states = crate::memory::Shared::new(states);
        let take = |member: usize| {
            // SAFETY: member indices of one turn differ, so no two threads have the same state.
            let state = &mut unsafe { states.piece(member, 1) }[0];
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
        // SAFETY: the lifetime is forgotten only until `busy` is 0 again, which `wait` below sees to even when `job` panics. No
        // member reads `job` now, since `busy` is 0.
        unsafe { *turns.job.get() = Some(std::mem::transmute::<Job<'_>, Job<'static>>(job)) };
        turns.busy.store(others, Ordering::Relaxed);
        // Sequentially consistent with `asleep`: either the member sees the new turn or the caller sees it asleep.
        turns.turn.fetch_add(1, Ordering::SeqCst);
        for (asleep, thread) in turns.asleep.iter().zip(&self.wake) {
            if asleep.swap(false, Ordering::SeqCst) {
                thread.unpark();
            }
        }
        let own = catch_unwind(AssertUnwindSafe(|| job(0)));
        let mut looks = 0;
        while turns.busy.load(Ordering::Acquire) > 0 {
            looks += 1;
            if looks < PATIENCE { std::hint::spin_loop() } else { thread::yield_now() }
        }
        if let Err(panic) = own {
            turns.panicked.store(false, Ordering::Relaxed);
            resume_unwind(panic);
        }
        assert!(!turns.panicked.swap(false, Ordering::Relaxed), "a member of the team panicked");
    }
}

fn member(turns: &Turns, index: usize) {
    let mut seen = 0;
    loop {
        let mut spins = 0;
        while turns.turn.load(Ordering::Acquire) == seen {
            spins += 1;
            if spins < SPINS {
                std::hint::spin_loop();
                continue;
            }
            loop {
                // Said again before each sleep: the caller may have taken it back for the turn that this member has already done.
                turns.asleep[index].store(true, Ordering::SeqCst);
                if turns.turn.load(Ordering::SeqCst) != seen {
                    break;
                }
                thread::park();
            }
            turns.asleep[index].store(false, Ordering::SeqCst);
        }
        seen = seen.wrapping_add(1);
        if turns.stop.load(Ordering::Acquire) {
            return;
        }
        // SAFETY: the turn has changed, so the caller has written a job, and it waits for this member before it writes again.
        if let Some(job) = unsafe { *turns.job.get() }
            && catch_unwind(AssertUnwindSafe(|| job(index + 1))).is_err()
        {
            turns.panicked.store(true, Ordering::Relaxed);
        }
        turns.busy.fetch_sub(1, Ordering::Release);
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.turns.stop.store(true, Ordering::Release);
        self.turns.turn.fetch_add(1, Ordering::SeqCst);
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
