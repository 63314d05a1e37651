#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use metrics_exporter_prometheus::PrometheusBuilder;

use super::*;

/// Runs `events` with a recorder of their own and returns what Prometheus would read.
fn rendered(events: impl FnOnce()) -> String {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    ::metrics::with_local_recorder(&recorder, events);
    handle.render()
}

#[test]
fn events_are_rendered_with_their_labels() {
    let text = rendered(|| {
        Counter::Outcomes.increment(&["answered", "gpu"]);
        Counter::Outcomes.increment(&["answered", "gpu"]);
        Counter::EngineTokens.add(128, &["prefill"]);
        Gauge::StageInFlight.set(7.0, &["router"]);
        Gauge::StageInFlight.add(-2.0, &["router"]);
        Histogram::StageCommitSeconds.record(0.25, &["router"]);
    });
    assert!(text.contains("precis_outcomes_total{status=\"answered\",tier=\"gpu\"} 2\n"), "{text}");
    assert!(text.contains("precis_engine_tokens_total{kind=\"prefill\"} 128\n"), "{text}");
    assert!(text.contains("precis_stage_in_flight{stage=\"router\"} 5\n"), "{text}");
    assert!(text.contains("precis_stage_commit_seconds_count{stage=\"router\"} 1\n"), "{text}");
}

#[test]
fn help_is_told_and_counters_without_labels_start_at_zero() {
    let text = rendered(describe_all);
    assert!(text.contains("# HELP precis_settle_lost_races_total Outcomes given up"), "{text}");
    assert!(text.contains("\nprecis_settle_lost_races_total 0\n"), "{text}");
}

#[test]
fn label_values_with_quotes_do_not_break_the_format() {
    let text = rendered(|| Counter::ApiRequests.increment(&["a\"b\nc", "ok"]));
    assert!(text.contains("provider=\"a\\\"b\\nc\""), "{text}");
}

#[test]
fn names_follow_the_conventions_and_are_unique() {
    let mut names = BTreeSet::new();
    for metric in COUNTERS {
        assert!(metric.name.starts_with("precis_") && metric.name.ends_with("_total"), "{}", metric.name);
        assert!(names.insert(metric.name));
    }
    for metric in GAUGES {
        let known = metric.name.starts_with("precis_") || metric.name.starts_with("process_");
        let counts = metric.name == "precis_engine_kv_blocks_total";
        assert!(known && (counts || !metric.name.ends_with("_total")), "{}", metric.name);
        assert!(names.insert(metric.name));
    }
    for metric in HISTOGRAMS {
        assert!(
            metric.name.starts_with("precis_")
                && ["_seconds", "_tokens", "_ratio"].iter().any(|unit| metric.name.ends_with(unit)),
            "{}",
            metric.name
        );
        assert!(names.insert(metric.name));
    }
}

#[test]
fn buckets_rise_and_there_are_enough() {
    for histogram in HISTOGRAMS {
        let buckets = histogram.buckets;
        assert!(buckets.len() >= 8, "{}", histogram.name);
        assert!(buckets.windows(2).all(|pair| pair[0] < pair[1]), "{}", histogram.name);
    }
}

/// A label that names a document or a tenant would grow without bound.
#[test]
fn labels_are_of_small_closed_sets() {
    let allowed = [
        "stage",
        // One a stage, by the name that brokers know.
        "group",
        "result",
        "code",
        "kind",
        "tier",
        "reason",
        // Figures of a summary; of types and languages those that the operator or a check names.
        "score",
        "criterion",
        "cause",
        "window",
        "prompt",
        "document_type",
        "language",
        "layer",
        "status",
        "service",
        "check",
        "finish_reason",
        "provider",
        "group",
        "topic",
        // Consumer groups: one a stage.
        "group",
        "version",
        "phase",
        // Names that the policy gives, like a tier's.
        "budget",
        "model",
        // Only tenants that send what cannot be served: operators make their topics.
        "tenant",
    ];
    let labels = COUNTERS.iter().map(|m| m.labels).chain(GAUGES.iter().map(|m| m.labels));
    for label in labels.chain(HISTOGRAMS.iter().map(|m| m.labels)).flatten() {
        assert!(allowed.contains(label), "{label}");
    }
}

#[test]
fn the_reference_has_a_row_for_every_metric() {
    let table = markdown();
    let rows = table.lines().count() - 2;
    assert_eq!(rows, COUNTERS.len() + GAUGES.len() + HISTOGRAMS.len());
    assert!(table.contains("| `precis_outcomes_total` | counter | `status`, `tier` | Documents settled"), "{table}");
    assert!(table.lines().all(|row| row.matches(" | ").count() == 3), "{table}");
}
