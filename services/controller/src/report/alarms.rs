//! The sequential test of a group's index since its baseline.
//!
//! The test reads hours, not documents: a view keeps no order within an hour. So false alarms are
//! as rare as stated or rarer, and an alarm comes up to about an hour later than document by
//! document ([`Cusum::push_batch`]).

use precis_statistics::StatisticsError;
use precis_statistics::drift::{Cusum, Design, Direction, MIN_BASELINE, Target};
use serde::Serialize;

use super::{FALL, Windows};
use crate::calendar::Hour;
use crate::view::{Moments, Series};

/// Average documents between false alarms of a quiet group: 90 days at 1,000 documents an hour, so
/// that 95 % of the groups have at most one in 30 days.
pub const DOCUMENTS_BETWEEN_FALSE_ALARMS: f64 = 2_160_000.0;

/// The target of every group's test.
const TARGET: Target =
    Target { direction: Direction::Fall, change: FALL, documents_between_false_alarms: DOCUMENTS_BETWEEN_FALSE_ALARMS };

/// What the test said, hour by hour.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SequentialTest {
    /// The fall that it looks for, as a share of the baseline's mean.
    pub fall: f64,
    /// Average documents between false alarms where nothing fell.
    pub documents_between_false_alarms: f64,
    /// Documents that it has read since the baseline.
    pub documents: u64,
    /// How far it is on its way to an alarm: from 0 to less than 1.
    pub level: f64,
    /// Its alarms, oldest first. After an alarm it starts again.
    pub alarms: Vec<Alarm>,
    /// Why it could not be run.
    pub not_run: Option<String>,
}

/// The index fell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Alarm {
    /// The hour after which the test alarmed.
    pub hour: Hour,
    /// The hour in which the fall began, as far as can be told.
    pub since: Hour,
    /// Documents from then on.
    pub documents: u64,
}

impl SequentialTest {
    /// The test of a series over the hours between the baseline's end and the current window's.
    pub(super) fn of(series: &Series, windows: &Windows) -> Self {
        let mut test = Self {
            fall: FALL,
            documents_between_false_alarms: DOCUMENTS_BETWEEN_FALSE_ALARMS,
            documents: 0,
            level: 0.0,
            alarms: Vec::new(),
            not_run: None,
        };
        let Some(baseline) = windows.baseline else {
            test.not_run = Some("there is no baseline".to_owned());
            return test;
        };
        let is_after = |hour: Hour| hour.day() > baseline.to && hour.day() <= windows.current.to;
        let mut hours: Vec<_> = series.hours().filter(|(hour, _)| is_after(*hour)).collect();
        hours.reverse();
        match design(&series.index_during(baseline)) {
            Ok(design) => test.read(Cusum::new(design), &hours),
            Err(why) => test.not_run = Some(why.to_string()),
        }
        test
    }

    fn read(&mut self, mut cusum: Cusum, hours: &[(Hour, &Moments)]) {
        let mut since = None;
        for (hour, index) in hours {
            let Some(mean) = index.mean() else { continue };
            let start = *since.get_or_insert(*hour);
            // A mean of bounded values is finite.
            if let Ok(Some(alarm)) = cusum.push_batch(index.count(), mean) {
                self.alarms.push(Alarm { hour: *hour, since: start, documents: alarm.changed_documents_ago });
            }
            if cusum.level() <= 0.0 {
                since = None;
            }
        }
        (self.documents, self.level) = (cusum.seen(), cusum.level());
    }
}

fn design(baseline: &Moments) -> Result<Design, StatisticsError> {
    let baseline = baseline.baseline();
    if baseline.count < MIN_BASELINE as u64 {
        let found = usize::try_from(baseline.count).unwrap_or(usize::MAX);
        return Err(StatisticsError::TooFew { what: "the baseline", found, needed: MIN_BASELINE });
    }
    if baseline.deviation <= 0.0 {
        return Err(StatisticsError::Undefined { what: "the baseline's deviation", why: "its values are all alike" });
    }
    Design::new(&baseline, &TARGET)
}
