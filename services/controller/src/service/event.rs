//! What an alarm tells whoever is called: one event a group, made of a report.

use std::collections::BTreeMap;

use precis_statistics::Interval;
use serde::Serialize;

use crate::calendar::Hour;
use crate::report::{Alarm, Group, NamedCause, Report};
use crate::view::Axis;

/// How long an alarm is told of, hours. Alarms of a group that lie no further apart are of one
/// fall.
pub const ALARM_HOURS: u32 = 24;

/// The quality index of a group fell.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QualityFell {
    /// `precis.quality.fell`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The group: its values by axis.
    pub group: BTreeMap<Axis, String>,
    /// The hour after which the sequential test alarmed first.
    pub hour: Hour,
    /// The hour in which the fall began, as far as can be told.
    pub since: Hour,
    /// Documents from then on.
    pub documents: u64,
    /// Mean of the quality index on the watched days.
    pub index: Option<f64>,
    /// The same on the days that they are compared with.
    pub baseline: Option<f64>,
    /// The difference as a share of the baseline, with its interval at 95 %.
    pub change: Option<f64>,
    /// Interval of the difference, in points of the index.
    pub interval: Option<Interval>,
    /// What it comes from: `input`, `prompt`, `model`, `provider`, `several` or `unknown`.
    pub cause: &'static str,
    /// Every cause with how sure it is.
    pub causes: Vec<NamedCause>,
}

impl QualityFell {
    /// The newest fall of each group of a report whose last alarm is not older than
    /// [`ALARM_HOURS`].
    pub fn of(report: &Report, now: Hour) -> Vec<Self> {
        let oldest = now.earlier(ALARM_HOURS);
        report.groups.iter().filter_map(|group| Self::of_group(group, oldest)).collect()
    }

    fn of_group(group: &Group, oldest: Hour) -> Option<Self> {
        let alarms = &group.test.alarms;
        alarms.last().filter(|alarm| alarm.hour >= oldest)?;
        // A fall that lasts alarms again and again, since the test starts again after each alarm.
        let apart = |pair: &[Alarm]| pair[0].hour < pair[1].hour.earlier(ALARM_HOURS);
        let first = alarms.windows(2).rposition(apart).map_or(0, |at| at + 1);
        let alarm = alarms[first];
        let index = |figures: &crate::report::Figures| figures.index.map(|index| index.mean);
        let cause = group.cause.as_ref();
        Some(Self {
            kind: "precis.quality.fell",
            group: group.by.clone(),
            hour: alarm.hour,
            since: alarm.since,
            documents: alarm.documents,
            index: index(&group.current),
            baseline: group.baseline.as_ref().and_then(index),
            change: group.change.as_ref().map(|change| change.relative),
            interval: group.change.as_ref().map(|change| change.interval),
            cause: cause.map_or("unknown", |cause| cause.name),
            causes: cause.map(|cause| cause.causes.clone()).unwrap_or_default(),
        })
    }

    /// Names the group, whatever its values hold.
    pub fn group_name(&self) -> String {
        serde_json::to_string(&self.group).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
