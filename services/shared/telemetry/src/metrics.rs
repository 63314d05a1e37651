//! Every metric, by name.
//!
//! One event is one call here, with label values in the order of [`Counter::labels`]:
//!
//! ```
//! use precis_telemetry::metrics::{Counter, Histogram};
//! Counter::Outcomes.increment(&["answered", "gpu"]);
//! Histogram::StageProcessSeconds.record(0.25, &["router"]);
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

pub use catalogue::{Counter, Gauge, Histogram};

static METADATA: Metadata<'static> = Metadata::new("precis", Level::INFO, None);

/// The key of a metric with these label values.
fn key(name: &'static str, labels: &'static [&'static str], values: &[&str]) -> Key {
    debug_assert_eq!(labels.len(), values.len(), "{name} takes the labels {labels:?}");
    let labels: Vec<Label> =
        labels.iter().zip(values).map(|(&label, &value)| Label::new(label, value.to_owned())).collect();
    Key::from_parts(name, labels)
}

impl Counter {
    /// One more.
    pub fn increment(self, values: &[&str]) {
        self.add(1, values);
    }

    /// `count` more.
    pub fn add(self, count: u64, values: &[&str]) {
        let key = key(self.name(), self.labels(), values);
        with_recorder(|recorder| recorder.register_counter(&key, &METADATA).increment(count));
    }
}

impl Gauge {
    /// It is `value` now.
    pub fn set(self, value: f64, values: &[&str]) {
        let key = key(self.name(), self.labels(), values);
        with_recorder(|recorder| recorder.register_gauge(&key, &METADATA).set(value));
    }

    /// It is `delta` more than before; less when negative.
    pub fn add(self, delta: f64, values: &[&str]) {
        let key = key(self.name(), self.labels(), values);
        with_recorder(|recorder| recorder.register_gauge(&key, &METADATA).increment(delta));
    }
}

impl Histogram {
    /// One more observation.
    pub fn record(self, value: f64, values: &[&str]) {
        let key = key(self.name(), self.labels(), values);
        with_recorder(|recorder| recorder.register_histogram(&key, &METADATA).record(value));
    }
}

/// Gives the installed recorder the help of every metric, and starts counters without labels at 0,
/// so that their first increment is already a rise.
pub fn describe_all() {
    with_recorder(|recorder| {
        let name = |name: &'static str| KeyName::from_const_str(name);
        let help = |help: &'static str| SharedString::const_str(help);
        for metric in Counter::ALL {
            recorder.describe_counter(name(metric.name()), Some(Unit::Count), help(metric.help()));
        }
        for metric in Gauge::ALL {
            recorder.describe_gauge(name(metric.name()), None, help(metric.help()));
        }
        for metric in Histogram::ALL {
            let unit = metric.name().ends_with("_seconds").then_some(Unit::Seconds);
            recorder.describe_histogram(name(metric.name()), unit, help(metric.help()));
        }
    });
    for metric in Counter::ALL.iter().filter(|metric| metric.labels().is_empty()) {
        metric.add(0, &[]);
    }
}

/// The reference of all metrics as a Markdown table, by name.
pub fn markdown() -> String {
    let counters = Counter::ALL.iter().map(|m| (m.name(), "counter", m.labels(), m.help()));
    let gauges = Gauge::ALL.iter().map(|m| (m.name(), "gauge", m.labels(), m.help()));
    let histograms = Histogram::ALL.iter().map(|m| (m.name(), "histogram", m.labels(), m.help()));
    let mut rows: Vec<_> = counters.chain(gauges).chain(histograms).collect();
    rows.sort_unstable();
    let head = ["| metric | type | labels | meaning |".to_owned(), "| --- | --- | --- | --- |".to_owned()];
    let row = |(name, kind, labels, help): (&str, &str, &[&str], &str)| {
        let labels = labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
        format!("| `{name}` | {kind} | {labels} | {help} |")
    };
    head.into_iter().chain(rows.into_iter().map(row)).map(|line| line + "\n").collect()
}

#[cfg(test)]
mod tests;
