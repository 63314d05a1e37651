//! The engine's counters: for Prometheus, and for the process that owns the engine.
//!
//! Documents a minute are `60 * rate(precis_engine_documents_total{result="summarised"}[5m])`. Here
//! they are the difference of two [`EngineStats::documents`] by the time between them.

use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use precis_base::lock::locked;
use precis_telemetry::metrics::{Counter, Gauge, Histogram};

use crate::request::FinishReason;

/// A snapshot of the engine's counters and state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EngineStats {
    /// Prompt tokens computed since the start.
    pub prefill_tokens: u64,
    /// Prompt tokens since the start that were shared, and so not computed.
    pub shared_tokens: u64,
    /// Sequences since the start whose prompt shared its beginning.
    pub prefix_hits: u64,
    /// Answer tokens computed since the start.
    pub decode_tokens: u64,
    /// Steps computed since the start.
    pub steps: u64,
    /// Documents summarised since the start.
    pub documents: u64,
    /// Requests that ended with an answer.
    pub finished: u64,
    /// Requests that failed.
    pub failed: u64,
    /// Requests whose caller went away first.
    pub cancelled: u64,
    /// Sequences being computed.
    pub running: u64,
    /// Sequences that wait for room.
    pub waiting: u64,
    /// Key-value blocks owned by running sequences.
    pub kv_blocks_used: u64,
    /// Key-value blocks that hold the beginning shared by prompts.
    pub kv_blocks_pinned: u64,
    /// Key-value blocks there are.
    pub kv_blocks_total: u64,
}

/// One step, for measurements.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StepRecord {
    /// Prompt tokens it computed.
    pub(crate) prefilled: usize,
    /// Answer tokens it computed.
    pub(crate) decoded: usize,
    /// When it ended.
    pub(crate) ended: Instant,
    /// CPU seconds of this process by then, where the system tells.
    pub(crate) cpu_seconds: Option<f64>,
}

/// A step that was computed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StepCounts {
    /// Prompt tokens.
    pub(crate) prefilled: usize,
    /// Answer tokens.
    pub(crate) decoded: usize,
    pub(crate) sequences: usize,
    pub(crate) max_sequences: usize,
    pub(crate) took: Duration,
}

/// The same as [`EngineStats`], as it is counted.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    prefill_tokens: AtomicU64,
    shared_tokens: AtomicU64,
    prefix_hits: AtomicU64,
    decode_tokens: AtomicU64,
    steps: AtomicU64,
    documents: AtomicU64,
    finished: AtomicU64,
    failed: AtomicU64,
    cancelled: AtomicU64,
    running: AtomicU64,
    waiting: AtomicU64,
    kv_blocks_used: AtomicU64,
    kv_blocks_pinned: AtomicU64,
    kv_blocks_total: AtomicU64,
    /// Every step while a measurement runs.
    record: Mutex<Option<Vec<StepRecord>>>,
}

impl Counters {
    pub(crate) fn record_steps(&self) {
        *locked(&self.record) = Some(Vec::new());
    }

    pub(crate) fn recorded_steps(&self) -> Vec<StepRecord> {
        locked(&self.record).take().unwrap_or_default()
    }

    pub(crate) fn step(&self, step: StepCounts) {
        let StepCounts { prefilled, decoded, sequences, max_sequences, took } = step;
        let phase = match (prefilled, decoded) {
            (0, _) => "decode",
            (_, 0) => "prefill",
            _ => "mixed",
        };
        Counter::EngineTokens.add(prefilled as u64, &["prefill"]);
        Counter::EngineTokens.add(decoded as u64, &["decode"]);
        Histogram::EngineStepSeconds.record(took.as_secs_f64(), &[phase]);
        Histogram::EngineStepTokens.record((prefilled + decoded) as f64, &[phase]);
        Histogram::EngineBatchFill.record(sequences as f64 / max_sequences as f64, &[]);
        self.steps.fetch_add(1, Relaxed);
        self.prefill_tokens.fetch_add(prefilled as u64, Relaxed);
        self.decode_tokens.fetch_add(decoded as u64, Relaxed);
        if let Some(record) = locked(&self.record).as_mut() {
            let (ended, cpu_seconds) = (Instant::now(), crate::system::cpu_seconds());
            record.push(StepRecord { prefilled, decoded, ended, cpu_seconds });
        }
    }

    /// A document was summarised, or was not.
    pub(crate) fn document(&self, summarised: bool) {
        Counter::EngineDocuments.increment(&[if summarised { "summarised" } else { "failed" }]);
        self.documents.fetch_add(u64::from(summarised), Relaxed);
    }

    pub(crate) fn finished(&self, reason: FinishReason) {
        Counter::EngineRequests.increment(&[reason.as_str()]);
        self.finished.fetch_add(1, Relaxed);
    }

    pub(crate) fn failed(&self) {
        Counter::EngineRequests.increment(&["failed"]);
        self.failed.fetch_add(1, Relaxed);
    }

    pub(crate) fn cancelled(&self, count: usize) {
        Counter::EngineRequests.add(count as u64, &["cancelled"]);
        self.cancelled.fetch_add(count as u64, Relaxed);
    }

    /// A sequence was admitted and begins after `shared` tokens of the prefix.
    pub(crate) fn admitted(&self, shared: usize) {
        if shared > 0 {
            Counter::EnginePrefixTokens.add(shared as u64, &[]);
            self.prefix_hits.fetch_add(1, Relaxed);
            self.shared_tokens.fetch_add(shared as u64, Relaxed);
        }
        Counter::EnginePrefixLookups.increment(&[if shared > 0 { "hit" } else { "miss" }]);
    }

    pub(crate) fn state(&self, running: usize, waiting: usize) {
        Gauge::EngineSequencesRunning.set(running as f64, &[]);
        Gauge::EngineSequencesWaiting.set(waiting as f64, &[]);
        self.running.store(running as u64, Relaxed);
        self.waiting.store(waiting as u64, Relaxed);
    }

    pub(crate) fn blocks(&self, used: usize, pinned: usize, total: usize) {
        Gauge::EngineKvBlocksUsed.set(used as f64, &[]);
        Gauge::EngineKvBlocksPinned.set(pinned as f64, &[]);
        Gauge::EngineKvBlocksTotal.set(total as f64, &[]);
        self.kv_blocks_used.store(used as u64, Relaxed);
        self.kv_blocks_pinned.store(pinned as u64, Relaxed);
        self.kv_blocks_total.store(total as u64, Relaxed);
    }

    pub(crate) fn stats(&self) -> EngineStats {
        EngineStats {
            prefill_tokens: self.prefill_tokens.load(Relaxed),
            shared_tokens: self.shared_tokens.load(Relaxed),
            prefix_hits: self.prefix_hits.load(Relaxed),
            decode_tokens: self.decode_tokens.load(Relaxed),
            steps: self.steps.load(Relaxed),
            documents: self.documents.load(Relaxed),
            finished: self.finished.load(Relaxed),
            failed: self.failed.load(Relaxed),
            cancelled: self.cancelled.load(Relaxed),
            running: self.running.load(Relaxed),
            waiting: self.waiting.load(Relaxed),
            kv_blocks_used: self.kv_blocks_used.load(Relaxed),
            kv_blocks_pinned: self.kv_blocks_pinned.load(Relaxed),
            kv_blocks_total: self.kv_blocks_total.load(Relaxed),
        }
    }
}
