//! The figures, as a table or as JSON.

use clap::ValueEnum as _;
use precis_inference::bench::{Measurement, peak_rss_bytes};
use precis_inference::{End, Engine};
use serde_json::json;

use super::Scenario;
use super::measure::Work;
use crate::output::{Output, Table};

const MIB: f64 = (1 << 20) as f64;

/// Collects measurements; with `--json` each is shown at once.
pub(super) struct Report<'a> {
    out: &'a Output,
    table: Table,
}

impl<'a> Report<'a> {
    pub(super) fn new(out: &'a Output) -> Self {
        let header = [
            "Scenario",
            "Batch",
            "Context",
            "Round",
            "Documents/min",
            "Tokens in/s",
            "Tokens out/s",
            "Tokens/CPU s",
            "Seconds",
            "CPU s",
            "KV MiB",
            "Peak MiB",
        ];
        Self { out, table: Table::new(&header) }
    }

    pub(super) fn add(
        &mut self,
        work: &Work,
        round: u32,
        engine: &Engine,
        measured: &Measurement,
    ) -> anyhow::Result<()> {
        let scenario = work.scenario.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
        let (kv_bytes, peak) = (engine.kv_bytes(), peak_rss_bytes());
        if self.out.json() {
            let model = engine.identity();
            self.out.value(&json!({
                "scenario": scenario, "batch": work.batch, "context": work.context, "round": round,
                "new_tokens": work.new_tokens, "natural": work.end != End::AtLimit, "paragraph": work.end == End::Paragraph,
                "measured": measured,
                "documents_per_minute": measured.documents_per_minute(),
                "input_tokens_per_second": measured.input_per_second(),
                "output_tokens_per_second": measured.output_per_second(),
                "tokens_per_cpu_second": measured.tokens_per_cpu_second(),
                "kv_bytes": kv_bytes, "peak_rss_bytes": peak,
                "model": model.name, "revision": model.revision,
            }))?;
            return Ok(());
        }
        // Documents are what the first scenario is about; in the others they are a means.
        let documents = match work.scenario {
            Scenario::Documents => format!("{:.1}", measured.documents_per_minute()),
            _ => String::new(),
        };
        let shown = |holds: bool, value: f64| if holds { format!("{value:.1}") } else { String::new() };
        self.table.row([
            scenario,
            work.batch.to_string(),
            if work.context > 0 { work.context.to_string() } else { String::new() },
            round.to_string(),
            documents,
            shown(work.scenario != Scenario::Decode, measured.input_per_second()),
            shown(work.scenario != Scenario::Prefill, measured.output_per_second()),
            measured.tokens_per_cpu_second().map_or_else(String::new, |rate| format!("{rate:.1}")),
            format!("{:.2}", measured.wall_seconds),
            measured.cpu_seconds.map_or_else(String::new, |cpu| format!("{cpu:.2}")),
            format!("{:.0}", kv_bytes as f64 / MIB),
            peak.map_or_else(String::new, |bytes| format!("{:.0}", bytes as f64 / MIB)),
        ]);
        Ok(())
    }

    pub(super) fn finish(self) {
        if !self.out.json() {
            self.out.table(&self.table);
            self.out.line("Peak is the process's since its start: with several rows, that of the largest so far.");
        }
    }
}
