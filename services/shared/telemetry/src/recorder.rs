//! The one recorder of a process: it keeps the values of [`crate::metrics`] and renders them for
//! Prometheus.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{fs, thread};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::metrics::{self, Gauge, HISTOGRAMS};

/// How often measurements are moved into buckets when nobody scrapes. Until then each of them takes
/// memory.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Handle to the process's metrics. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Recorder(PrometheusHandle);

/// Installs the process's recorder; every further call returns the same one.
///
/// # Panics
/// When this process has another recorder. Only this function installs one.
pub fn install_recorder() -> Recorder {
    static RECORDER: OnceLock<Recorder> = OnceLock::new();
    RECORDER
        .get_or_init(|| {
            let recorder = with_buckets(PrometheusBuilder::new()).build_recorder();
            let handle = recorder.handle();
            ::metrics::set_global_recorder(recorder)
                .expect("only this function installs a recorder, once: telemetry alone depends on an exporter");
            metrics::describe_all();
            Gauge::BuildInfo.set(1.0, &[env!("CARGO_PKG_VERSION")]);
            Gauge::ProcessStartTimeSeconds.set(started_at(), &[]);
            start_upkeep(handle.clone());
            Recorder(handle)
        })
        .clone()
}

impl Recorder {
    /// All metrics in Prometheus' text format.
    pub fn render(&self) -> String {
        measure_process();
        self.0.render()
    }
}

fn with_buckets(builder: PrometheusBuilder) -> PrometheusBuilder {
    HISTOGRAMS.iter().fold(builder, |builder, histogram| {
        builder
            .set_buckets_for_metric(Matcher::Full(histogram.name.to_owned()), histogram.buckets)
            .expect("no histogram has an empty list of buckets: metrics/tests.rs")
    })
}

/// Starts the upkeep thread, which runs as long as the process. Without it a scrape does the same
/// work, only later.
fn start_upkeep(handle: PrometheusHandle) {
    let upkeep = move || {
        loop {
            thread::sleep(UPKEEP_INTERVAL);
            handle.run_upkeep();
        }
    };
    if let Err(error) = thread::Builder::new().name("metrics-upkeep".to_owned()).spawn(upkeep) {
        tracing::warn!(%error, "no thread for metrics upkeep; histograms are folded when scraped");
    }
}

/// Start of the process in seconds since 1970: the present, since the recorder is installed first.
fn started_at() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |elapsed| elapsed.as_secs_f64())
}

/// Measures this process by `/proc`. Other systems than Linux have none, and the gauges stay
/// absent.
fn measure_process() {
    if let Ok(status) = fs::read_to_string("/proc/self/status") {
        let number = |field: &str| -> Option<f64> {
            let rest = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
            rest.split_whitespace().next()?.parse().ok()
        };
        if let Some(kibibytes) = number("VmRSS") {
            Gauge::ProcessResidentMemoryBytes.set(kibibytes * 1024.0, &[]);
        }
        if let Some(threads) = number("Threads") {
            Gauge::ProcessThreads.set(threads, &[]);
        }
    }
    if let Ok(entries) = fs::read_dir("/proc/self/fd") {
        Gauge::ProcessOpenFds.set(entries.count() as f64, &[]);
    }
}
