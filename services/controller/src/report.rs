//! What a view says of each group: its figures now and in the baseline, what changed, and why.
//!
//! ```text
//! View ─▶ Windows::of ─▶ report ─▶ for each group:
//!     figures of both windows ─▶ change of the index, with its interval
//!     index by hour ─▶ sequential test ─▶ alarms          documents of both windows ─▶ input changes
//!     an alarm, or a fall ─▶ evidence ─▶ cause
//! ```
//!
//! The figures rest on the layers that [`Report::layers`] names: on automatic metrics, and where
//! evaluations were read on a judge. An interval is of chance among the documents: it does not say
//! how far the quality index, or the judge, is from what people would say. Change, test and cause
//! are of the index alone.

mod alarms;
mod change;
mod evidence;
mod figures;
mod inputs;
mod judge;

use std::collections::BTreeMap;

use precis_statistics::cause::diagnose;
use serde::Serialize;

use crate::calendar::{Day, Days};
use crate::view::{Axis, Merge as _, Series, SeriesKey, View};

pub use alarms::{Alarm, DOCUMENTS_BETWEEN_FALSE_ALARMS, SequentialTest};
pub use change::{Change, FALL, Fall};
pub use evidence::{Cause, NamedCause};
pub use figures::{Estimate, FailedCheck, Figures};
pub use inputs::{InputChange, MAX_CHANCE, MIN_DISTANCE};
pub use judge::{JudgeScore, Judgement, MIN_PAIRS, SelfAgreement};

/// The layers of quality that figures can rest on; the second where evaluations were read.
pub const LAYERS: [&str; 2] = ["automatic", "judge"];

/// What a group is called on every axis whose series were beyond the view's bound.
const OTHER: &str = "other";

/// Fewest documents of each window that a test of the inputs or a cause is built on.
const MIN_DOCUMENTS: u64 = precis_statistics::drift::MIN_BASELINE as u64;

/// A series of a view with its key; those beyond its bound have none.
type Keyed<'a> = (Option<&'a SeriesKey>, &'a Series);

/// The days that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    /// The days to compare with.
    pub baseline: Option<Days>,
    /// The days that the figures are of.
    pub current: Days,
}

impl Windows {
    /// So many days up to this one, beside so many before them.
    pub fn up_to(last: Day, current_days: u32, baseline_days: u32) -> Self {
        let from = last.earlier(current_days.saturating_sub(1));
        let baseline = Days { from: from.earlier(baseline_days), to: from.before() };
        Self { baseline: Some(baseline), current: Days { from, to: last } }
    }

    /// The days from `since` to the view's last, and the baseline that is named; where none is, the
    /// last day alone, and all days before. `None` if there is no outcome since then.
    pub fn of(view: &View, since: Option<Day>, baseline: Option<Days>) -> Option<Self> {
        let days = view.days();
        let (first, last) = (*days.first()?, *days.last()?);
        let current = Days { from: since.unwrap_or(last), to: last };
        let before = || (first < current.from).then(|| Days { from: first, to: current.from.before() });
        (current.from <= last).then(|| Self { baseline: baseline.or_else(before), current })
    }
}

/// Two windows of a view, compared.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The layers that the figures rest on.
    pub layers: &'static [&'static str],
    /// The days that the figures are of.
    pub current: Days,
    /// The days that they are compared with.
    pub baseline: Option<Days>,
    /// Documents of series beyond the view's bound; they are in the group `other`.
    pub documents_beyond: u64,
    /// Documents older than the days that the view keeps; they are in no figure.
    pub documents_earlier: u64,
    /// By the axes that were asked for, in the order of their values.
    pub groups: Vec<Group>,
}

/// The series that have some values in common.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Group {
    /// The values in common.
    pub by: BTreeMap<Axis, String>,
    /// Figures of the current window.
    pub current: Figures,
    /// Figures of the baseline; `None` without documents there.
    pub baseline: Option<Figures>,
    /// How the index changed; `None` where a window has too few documents for an interval.
    pub change: Option<Change>,
    /// How far judges agree with themselves; `None` where nothing was judged twice.
    pub self_agreement: Option<SelfAgreement>,
    /// How the documents changed.
    pub inputs: Vec<InputChange>,
    /// The sequential test of the index since the baseline.
    pub test: SequentialTest,
    /// Where the index fell or the test alarmed: what it comes from.
    pub cause: Option<Cause>,
}

/// Compares the windows, with one group for each combination of values on these axes.
pub fn report(view: &View, by: &[Axis], windows: &Windows) -> Report {
    let all: Vec<Keyed<'_>> = view.series().collect();
    let mut parted: BTreeMap<Vec<&str>, Vec<Keyed<'_>>> = BTreeMap::new();
    for (key, series) in &all {
        let values = by.iter().map(|axis| key.map_or(OTHER, |key| key.value(*axis))).collect();
        parted.entry(values).or_default().push((*key, *series));
    }
    let named = |values: Vec<&str>| -> BTreeMap<Axis, String> {
        by.iter().copied().zip(values.into_iter().map(str::to_owned)).collect()
    };
    let groups = parted.into_iter().filter_map(|(values, own)| group(named(values), &own, &all, windows)).collect();
    Report {
        layers: if view.has_evaluations() { &LAYERS } else { &LAYERS[..1] },
        current: windows.current,
        baseline: windows.baseline,
        documents_beyond: view.beyond(),
        documents_earlier: view.earlier(),
        groups,
    }
}

/// The group of these series; `None` without documents in either window.
fn group(by: BTreeMap<Axis, String>, own: &[Keyed<'_>], all: &[Keyed<'_>], windows: &Windows) -> Option<Group> {
    let mut merged = Series::default();
    for (_, series) in own {
        merged.merge((*series).clone());
    }
    let current = merged.during(windows.current);
    let baseline = windows.baseline.map(|days| merged.during(days)).filter(|tally| tally.documents() > 0);
    if current.documents() == 0 && baseline.is_none() {
        return None;
    }
    let before = baseline.as_ref().map(|tally| tally.index().sample());
    let change = before.and_then(|before| Change::of(&before, &current.index().sample()));
    let test = SequentialTest::of(&merged, windows);
    let inputs = inputs::changes(own, windows);
    let is_suspect = !test.alarms.is_empty() || change.is_some_and(|change| change.fall == Fall::Proven);
    let cause = is_suspect.then(|| Cause::of(&diagnose(&evidence::of(own, all, &inputs, windows))));
    Some(Group {
        by,
        current: Figures::of(&current, &merged.judged_during(windows.current)),
        baseline: baseline.as_ref().zip(windows.baseline).map(|(tally, days)| {
            let judged = merged.judged_during(days);
            Figures::of(tally, &judged)
        }),
        change,
        self_agreement: SelfAgreement::of(&merged, windows),
        inputs,
        test,
        cause,
    })
}

#[cfg(test)]
mod tests;
