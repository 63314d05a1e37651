//! Every metric, by name.
//!
//! One event is one call here, with label values in the order in which the catalogue names the
//! labels:
//!
//! ```
//! use precis_telemetry::metrics::{Counter, Histogram};
//! Counter::Outcomes.increment(&["answered", "gpu"]);
//! Histogram::StageProcessSeconds.record(0.25, &["router"]);
//! ```
//!
//! A metric's type knows how many labels it has, so a call with a wrong number does not compile:
//!
//! ```compile_fail,E0308
//! use precis_telemetry::metrics::Counter;
//! Counter::Outcomes.increment(&["answered"]);
//! ```
//!
//! Label sets are shared on purpose: metrics that are divided by each other describe the same
//! population, such as [`Counter::CheckFailures`] by [`Counter::Answers`] for a tier. Labels take
//! values from small closed sets (a stage, a tier, a stable code), never an identifier of a
//! document or a tenant.
//!
//! Before a recorder is installed everything here does nothing.

use ::metrics::{Key, KeyName, Label, Level, Metadata, SharedString, Unit, with_recorder};

mod catalogue;

pub use catalogue::{COUNTERS, Description, GAUGES, HISTOGRAMS};

static METADATA: Metadata<'static> = Metadata::new("precis", Level::INFO, None);

/// A metric that only ever grows.
#[derive(Debug, Clone, Copy)]
pub struct Counter<const LABELS: usize> {
    name: &'static str,
    labels: [&'static str; LABELS],
}

/// A metric that goes up and down.
#[derive(Debug, Clone, Copy)]
pub struct Gauge<const LABELS: usize> {
    name: &'static str,
    labels: [&'static str; LABELS],
}

/// A metric of many measurements: seconds, tokens or shares of one, as its name says last.
#[derive(Debug, Clone, Copy)]
pub struct Histogram<const LABELS: usize> {
    name: &'static str,
    labels: [&'static str; LABELS],
}

/// The key of a metric with these label values.
fn key<const LABELS: usize>(name: &'static str, labels: [&'static str; LABELS], values: &[&str; LABELS]) -> Key {
    let labels: Vec<Label> =
        labels.into_iter().zip(values).map(|(label, &value)| Label::new(label, value.to_owned())).collect();
    Key::from_parts(name, labels)
}

impl<const LABELS: usize> Counter<LABELS> {
    /// Adds one.
    pub fn increment(self, values: &[&str; LABELS]) {
        self.add(1, values);
    }

    /// Adds `count`.
    pub fn add(self, count: u64, values: &[&str; LABELS]) {
        let key = key(self.name, self.labels, values);
        with_recorder(|recorder| recorder.register_counter(&key, &METADATA).increment(count));
    }
}

impl<const LABELS: usize> Gauge<LABELS> {
    /// Replaces the value.
    pub fn set(self, value: f64, values: &[&str; LABELS]) {
        let key = key(self.name, self.labels, values);
        with_recorder(|recorder| recorder.register_gauge(&key, &METADATA).set(value));
    }

    /// Adds `delta`, which may be negative.
    pub fn add(self, delta: f64, values: &[&str; LABELS]) {
        let key = key(self.name, self.labels, values);
        with_recorder(|recorder| recorder.register_gauge(&key, &METADATA).increment(delta));
    }
}

impl<const LABELS: usize> Histogram<LABELS> {
    /// Adds one measurement.
    pub fn record(self, value: f64, values: &[&str; LABELS]) {
        let key = key(self.name, self.labels, values);
        with_recorder(|recorder| recorder.register_histogram(&key, &METADATA).record(value));
    }
}

/// Gives the installed recorder the help of every metric, and starts counters without labels at 0,
/// so that their first increment is already a rise.
pub fn describe_all() {
    with_recorder(|recorder| {
        let name = |name: &'static str| KeyName::from_const_str(name);
        let help = |help: &'static str| SharedString::const_str(help);
        for metric in COUNTERS {
            recorder.describe_counter(name(metric.name), Some(Unit::Count), help(metric.help));
        }
        for metric in GAUGES {
            recorder.describe_gauge(name(metric.name), None, help(metric.help));
        }
        for metric in HISTOGRAMS {
            let unit = metric.name.ends_with("_seconds").then_some(Unit::Seconds);
            recorder.describe_histogram(name(metric.name), unit, help(metric.help));
        }
    });
    for metric in COUNTERS.iter().filter(|metric| metric.labels.is_empty()) {
        Counter { name: metric.name, labels: [] }.add(0, &[]);
    }
}

/// The reference of all metrics as a Markdown table, by name.
pub fn markdown() -> String {
    let kinds = [("counter", COUNTERS), ("gauge", GAUGES), ("histogram", HISTOGRAMS)];
    let rows = kinds.into_iter().flat_map(|(kind, metrics)| metrics.iter().map(move |metric| (kind, metric)));
    let mut rows: Vec<_> = rows.collect();
    rows.sort_unstable_by_key(|(_, metric)| metric.name);
    let head = ["| metric | type | labels | meaning |".to_owned(), "| --- | --- | --- | --- |".to_owned()];
    let row = |(kind, Description { name, labels, help, .. }): (&str, &Description)| {
        let labels = labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
        format!("| `{name}` | {kind} | {labels} | {help} |")
    };
    head.into_iter().chain(rows.into_iter().map(row)).map(|line| line + "\n").collect()
}

#[cfg(test)]
mod tests;
