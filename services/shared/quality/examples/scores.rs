//! Scores of pairs of texts: `loadtest/quality/scores.py` compares them with the Python packages'.
//!
//! ```text
//! cargo run -p precis-quality --example scores -- [--repeat N] < PAIRS
//! ```
//!
//! PAIRS has a JSON object a line, with `reference` (or `source`) and `summary`. For each it prints
//! a line: the figures by the names that the packages have for them. With `--repeat` it prints
//! instead how long one judgement of a pair takes, microseconds, the least of N: checks, scores and
//! index of the summary against its source.

use std::error::Error;
use std::io::{BufRead as _, Write as _, stdin, stdout};
use std::time::Instant;

use precis_quality::reference::{PrecisionRecall, ReferenceScores, Rouge};
use precis_quality::{IndexWeights, Input, Scores, Thresholds, judge};
use serde_json::{Map, Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let repeat = match arguments.next().as_deref() {
        None => None,
        Some("--repeat") => Some(arguments.next().ok_or("--repeat needs a number")?.parse()?),
        Some(_) => return Err("the only argument is --repeat N".into()),
    };
    for line in stdin().lock().lines() {
        let pair: Value = serde_json::from_str(&line?)?;
        let text = |name: &str| pair[name].as_str().map(str::to_owned);
        let summary = text("summary").ok_or("a line has no summary")?;
        let (source, reference) = (text("source"), text("reference"));
        let line = match repeat {
            Some(times) => timed(times, &source.unwrap_or_default(), reference.as_deref(), &summary).to_string(),
            None => Value::Object(figures(source.as_deref(), reference.as_deref(), &summary)).to_string(),
        };
        writeln!(stdout(), "{line}")?;
    }
    Ok(())
}

fn figures(source: Option<&str>, reference: Option<&str>, summary: &str) -> Map<String, Value> {
    let mut all = Map::new();
    if let Some(source) = source {
        let scores = scored(source, None, summary).0;
        for (name, value) in
            [("rouge1", scores.source_rouge1), ("rouge2", scores.source_rouge2), ("rougeL", scores.source_rouge_l)]
        {
            all.insert(format!("source_{name}"), json!(value));
        }
    }
    if let Some(reference) = reference {
        let scores = ReferenceScores::of(reference, summary);
        for (prefix, rouge) in [("", scores.rouge), ("stemmed_", scores.rouge_stemmed)] {
            let Rouge { rouge1, rouge2, rouge_l, rouge_lsum } = rouge;
            for (name, PrecisionRecall { precision, recall, f }) in
                [("rouge1", rouge1), ("rouge2", rouge2), ("rougeL", rouge_l), ("rougeLsum", rouge_lsum)]
            {
                all.insert(format!("{prefix}{name}"), json!([precision, recall, f]));
            }
        }
        all.insert("bleu".to_owned(), json!(scores.bleu));
        all.insert("chrf".to_owned(), json!(scores.chrf));
    }
    all
}

fn scored(source: &str, reference: Option<&str>, summary: &str) -> (Scores, Option<f64>) {
    let input = Input { source, summary, reference, asked_words: Some(120), ..Input::default() };
    let judgement = judge(&input, &Thresholds::default());
    (judgement.scores, judgement.index(&IndexWeights::default()))
}

/// Microseconds.
fn timed(times: u32, source: &str, reference: Option<&str>, summary: &str) -> f64 {
    let once = || {
        let begun = Instant::now();
        std::hint::black_box(scored(source, reference, summary));
        begun.elapsed().as_secs_f64() * 1e6
    };
    (0..times.max(1)).map(|_| once()).fold(f64::INFINITY, f64::min)
}
