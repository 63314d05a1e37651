//! The report for people: a row a group.

use precis_controller::report::{
    Alarm, Cause, Change, Estimate, Fall, Figures, Group, Judgement, LAYERS, NamedCause, Report,
};
use precis_controller::view::{Axis, Ending, MAX_DAYS, MAX_SERIES};
use precis_statistics::Interval;
use precis_statistics::cause::Certainty;

use crate::output::{Output, Table};
use crate::report::short;

/// Failed checks that a row names; the others are in the JSON.
const MAX_CHECKS_NAMED: usize = 3;

/// Prints what the report says.
pub(super) fn show(report: &Report, axes: &[Axis], out: &Output) {
    let compared = report.baseline.map_or_else(
        || "there is no baseline to compare with".to_owned(),
        |baseline| format!("compared with {baseline}"),
    );
    out.line(format_args!("{} (UTC), {compared}.", report.current));
    let has_judge = report.layers.len() == LAYERS.len();
    out.line(if has_judge {
        "Automatic metrics, and a judge on a sample of the summaries: no people's labels are in these figures."
    } else {
        "Automatic metrics alone: no judge's scores and no people's labels are in these figures."
    });
    let mut header: Vec<_> = axes.iter().map(|axis| name(*axis)).collect();
    header.extend(["Documents", "Endings", "Index (95 %)"]);
    // A narrow terminal has no room for columns that are empty.
    header.extend(has_judge.then_some(["Judge (95 %)", "Judged"]).into_iter().flatten());
    header.extend(["Failed checks", "Baseline", "Change (95 %)", "Drift"]);
    let mut table = Table::new(&header).right(&[axes.len()]);
    for group in &report.groups {
        let mut cells: Vec<_> = group.by.iter().map(|(axis, value)| shown(*axis, value)).collect();
        cells.extend([
            group.current.documents.to_string(),
            endings(&group.current),
            group.current.index.as_ref().map(index).unwrap_or_default(),
        ]);
        cells.extend(has_judge.then(|| [judge(group), judged(group)]).into_iter().flatten());
        cells.extend([
            checks(&group.current),
            group
                .baseline
                .as_ref()
                .and_then(|figures| figures.index)
                .map(|index| number(index.mean))
                .unwrap_or_default(),
            group
                .change
                .as_ref()
                .zip(group.baseline.as_ref())
                .map(|(change, from)| relative(change, from))
                .unwrap_or_default(),
            drift(group),
        ]);
        table.row(cells);
    }
    out.table(&table);
    remarks(report, out);
}

/// What is in no row, or in none of its own.
fn remarks(report: &Report, out: &Output) {
    let judgements = report.groups.iter().filter_map(|group| group.current.judge.as_ref());
    let own: u64 = judgements.map(|judgement| judgement.same_model).sum();
    if own > 0 {
        out.note(format_args!("{own} summaries were judged by the model that wrote them, since no other was allowed"));
    }
    if report.documents_beyond > 0 {
        out.note(format_args!(
            "{} documents are of series beyond the {} that are kept apart; they are counted as other",
            report.documents_beyond, MAX_SERIES
        ));
    }
    if report.documents_earlier > 0 {
        out.note(format_args!(
            "{} documents are older than the {} newest days of their series, which are kept; they are in no figure",
            report.documents_earlier, MAX_DAYS
        ));
    }
}

fn name(axis: Axis) -> &'static str {
    match axis {
        Axis::Tier => "Tier",
        Axis::Model => "Model",
        Axis::Prompt => "Prompt",
        Axis::Type => "Type",
        Axis::Language => "Language",
    }
}

/// A value of an axis, digests shortened.
fn shown(axis: Axis, value: &str) -> String {
    match (axis, value.rsplit_once('@')) {
        (Axis::Model, Some((name, revision))) => format!("{name}@{}", short(revision)),
        (Axis::Prompt, _) => short(value).to_owned(),
        _ => value.to_owned(),
    }
}

/// Those that occur, with their shares.
fn endings(figures: &Figures) -> String {
    let occurring = Ending::ALL.into_iter().filter(|ending| figures.share(*ending) > 0.0);
    occurring
        .map(|ending| format!("{} {}", ending.as_str(), percent(figures.share(ending))))
        .collect::<Vec<_>>()
        .join(", ")
}

fn index(index: &Estimate) -> String {
    match index.interval {
        Some(found) => interval(index.mean, found),
        None => number(index.mean),
    }
}

fn interval(mean: f64, interval: Interval) -> String {
    format!("{} ({} to {})", number(mean), number(interval.low), number(interval.high))
}

/// The judge's score now, and before.
fn judge(group: &Group) -> String {
    let Some(current) = &group.current.judge else { return "nothing judged".to_owned() };
    let Some(score) = current.score else { return format!("{} more must be judged", current.missing) };
    let now = interval(score.mean, score.interval);
    let part = (score.covered < 1.0).then(|| format!("of {} of them", percent(score.covered)));
    let before = group.baseline.as_ref().and_then(|figures| figures.judge.as_ref()?.score);
    let before = before.map(|score| format!("before {}", number(score.mean)));
    [Some(now), part, before].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// How many were judged, how often the judge failed, and how far it agrees with itself.
fn judged(group: &Group) -> String {
    let Some(Judgement { judged, failed, failed_share, .. }) = &group.current.judge else { return String::new() };
    let failures = (*failed > 0).then(|| format!("failed {}", percent(*failed_share)));
    let agreement = group.self_agreement.map(|found| {
        let pairs = if found.pairs == 1 { "1 pair".to_owned() } else { format!("{} pairs", found.pairs) };
        format!("agrees in {} of {pairs}", percent(found.within_one_point))
    });
    [Some(judged.to_string()), failures, agreement].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn checks(figures: &Figures) -> String {
    let named = figures.failed_checks.iter().take(MAX_CHECKS_NAMED);
    let words = |name: &str| name.replace('_', " ");
    named.map(|failed| format!("{} {}", words(&failed.check), percent(failed.share))).collect::<Vec<_>>().join(", ")
}

/// The change in percent of the baseline.
fn relative(change: &Change, baseline: &Figures) -> String {
    let Some(mean) = baseline.index.map(|index| index.mean).filter(|mean| *mean > 0.0) else { return String::new() };
    let share = |value: f64| format!("{:+.1}", 100.0 * value / mean);
    format!("{} % ({} to {})", share(change.value), share(change.interval.low), share(change.interval.high))
}

/// Whether the index fell, since when, and why.
fn drift(group: &Group) -> String {
    let fall = group.change.map(|change| match change.fall {
        Fall::Proven => "fell by more than 5 %",
        Fall::Likely => "seems to have fallen by more than 5 %",
        Fall::Possible => "may have fallen by 5 %",
        Fall::Excluded => "did not fall by 5 %",
    });
    let alarms = group.test.alarms.first().map(|first| alarm(first, group.test.alarms.len()));
    let not_tested = group.test.not_run.as_ref().map(|_| "no test yet".to_owned());
    let parts = [fall.map(str::to_owned), alarms, group.cause.as_ref().map(cause), not_tested];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

fn alarm(first: &Alarm, count: usize) -> String {
    let more = if count > 1 { format!(" and {} later", count - 1) } else { String::new() };
    format!("alarm {}{more}, since {}", first.hour, first.since)
}

fn cause(cause: &Cause) -> String {
    let certainty = |named: &NamedCause| match named.certainty {
        Certainty::Possible => "possible",
        Certainty::Likely => "likely",
        Certainty::Confirmed => "confirmed",
    };
    let named: Vec<_> =
        cause.causes.iter().map(|named| format!("{} ({})", named.cause.as_str(), certainty(named))).collect();
    if named.is_empty() { "cause unknown".to_owned() } else { format!("cause: {}", named.join(", ")) }
}

fn number(value: f64) -> String {
    format!("{value:.3}")
}

fn percent(share: f64) -> String {
    // Of what occurred nobody should read that it did not.
    if share > 0.0 && share < 0.001 { "<0.1 %".to_owned() } else { format!("{:.1} %", 100.0 * share) }
}
