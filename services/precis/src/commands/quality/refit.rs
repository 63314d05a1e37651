//! New weights of the quality index from labels, table by table of `[quality]`.
//!
//! A document type with enough labels gets a table of its own. The labels of all types without one
//! refit the default. A table whose new weights are no better on labels that they were not fitted
//! to stays as it is.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use precis_policy::Quality;
use precis_quality::IndexWeights;
use precis_statistics::StatisticsError;
use precis_statistics::weights::{Errors, Labelled, MIN_LABELS, cross_validated, fit};
use serde::Serialize;

use super::labels::Measured;

/// Least gain of new weights, in the error of the index: less is nothing that anybody would notice.
const MIN_GAIN: f64 = 0.001;

/// One table of `[quality]`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Table {
    /// The document type; `None` for the default.
    pub(super) document_type: Option<String>,
    /// Labels that it could be fitted to.
    pub(super) labels: usize,
    /// Root mean square error of the weights in use; `None` with too few labels for a fit.
    pub(super) error_before: Option<f64>,
    /// The same of a fit, on labels that it did not see.
    pub(super) error_after: Option<f64>,
    /// Whether the weights are new ones.
    pub(super) refitted: bool,
    /// The weights.
    pub(super) weights: BTreeMap<&'static str, f64>,
}

/// The tables that the labels and the policy in force give.
///
/// # Errors
/// Those of the fit, but for too few labels.
pub(super) fn refit(examples: &[(Measured, f64)], quality: &Quality) -> Result<Vec<Table>, StatisticsError> {
    let mut by_type: BTreeMap<&str, Vec<Labelled>> = BTreeMap::new();
    for (measured, label) in examples {
        let Some(parts) = &measured.parts else { continue };
        by_type.entry(&measured.document_type).or_default().push(Labelled { parts: parts.to_vec(), label: *label });
    }
    let mut rest = Vec::new();
    let mut own: BTreeMap<String, Vec<Labelled>> =
        quality.types.keys().map(|name| (name.clone(), Vec::new())).collect();
    for (name, rows) in by_type {
        // A document without a type has no table.
        if quality.types.contains_key(name) || (rows.len() >= MIN_LABELS && !name.is_empty()) {
            own.insert(name.to_owned(), rows);
        } else {
            rest.extend(rows);
        }
    }
    let mut tables = vec![table(None, &rest, &quality.default)?];
    for (name, rows) in own {
        let in_use = quality.types.get(&name).unwrap_or(&quality.default).clone();
        tables.push(table(Some(name), &rows, &in_use)?);
    }
    Ok(tables)
}

fn table(document_type: Option<String>, rows: &[Labelled], in_use: &IndexWeights) -> Result<Table, StatisticsError> {
    let before = in_use.by_name().map(|(_, weight)| weight);
    let errors = if rows.len() < MIN_LABELS { None } else { Some(cross_validated(rows, &before)?) };
    let weights = match errors {
        Some(Errors { before: old, after }) if after < old - MIN_GAIN => Some(rounded(&fit(rows, &before)?)),
        _ => None,
    };
    Ok(Table {
        document_type,
        labels: rows.len(),
        error_before: errors.map(|errors| errors.before),
        error_after: errors.map(|errors| errors.after),
        refitted: weights.is_some(),
        weights: weights.unwrap_or_else(|| in_use.clone()).by_name().into_iter().collect(),
    })
}

/// Weights with the four digits that a file of them needs.
fn rounded(weights: &[f64]) -> IndexWeights {
    let mut all = [0.0; 10];
    all.iter_mut().zip(weights).for_each(|(own, weight)| *own = (weight * 1e4).round() / 1e4);
    IndexWeights::of(all)
}

/// The tables as part of a policy file, which takes the place of all its tables of `[quality]`.
pub(super) fn toml(tables: &[Table]) -> String {
    let mut text = String::new();
    for table in tables {
        let error = |error: Option<f64>| error.map_or_else(String::new, |error| format!("{error:.3}"));
        let (before, after) = (error(table.error_before), error(table.error_after));
        let remark = match (table.refitted, table.error_before) {
            (true, _) => format!("error {after}, with the weights in use {before}, on labels that were held out"),
            (false, Some(_)) => format!("as in use: error {before}, and new weights would have {after}"),
            (false, None) => format!("as in use: a fit needs {MIN_LABELS} labels"),
        };
        let name =
            table.document_type.as_ref().map_or_else(|| "default".to_owned(), |name| format!("types.{}", key(name)));
        // Writing to a text does not fail.
        let _ = writeln!(text, "[quality.{name}]\n# {} labels; {remark}", table.labels);
        for (part, weight) in IndexWeights::default().by_name().map(|(part, _)| (part, table.weights[part])) {
            let _ = writeln!(text, "{part} = {weight:?}");
        }
        text.push('\n');
    }
    text.trim_end().to_owned()
}

/// A name as a key of TOML.
fn key(name: &str) -> String {
    let is_bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    // The escapes of JSON are those of TOML, which wants one more.
    let quoted = || serde_json::Value::from(name).to_string().replace('\u{7f}', "\\u007f");
    if is_bare { name.to_owned() } else { quoted() }
}

#[cfg(test)]
mod tests;
