//! One series: its days, and its hours for the sequential test.

use std::cmp::Reverse;

use precis_schemas::Outcome;

use super::{Bounded, Merge, Moments, Tally};
use crate::calendar::{Day, Days, Hour};

/// Most days of a series that are kept apart, the newest: two months.
pub const MAX_DAYS: usize = 62;

/// Most hours of a series that are kept apart, the newest: as many as the days have.
pub const MAX_HOURS: usize = MAX_DAYS * 24;

/// What the outcomes of one key say, or of several keys together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Series {
    days: Bounded<Reverse<Day>, Tally, MAX_DAYS>,
    /// The quality index by hour.
    hours: Bounded<Reverse<Hour>, Moments, MAX_HOURS>,
}

impl Series {
    /// Counts an outcome that was settled in this hour.
    pub fn add(&mut self, hour: Hour, outcome: &Outcome) {
        self.days.slot(Reverse(hour.day())).add(outcome);
        if let Some(index) = outcome.quality_index {
            self.hours.slot(Reverse(hour)).add(index);
        }
    }

    /// The days that are kept, newest first.
    pub fn days(&self) -> impl Iterator<Item = (Day, &Tally)> {
        self.days.kept().map(|(day, tally)| (day.0, tally))
    }

    /// The quality index by hour, newest first.
    pub fn hours(&self) -> impl Iterator<Item = (Hour, &Moments)> {
        self.hours.kept().map(|(hour, index)| (hour.0, index))
    }

    /// What these days say together.
    pub fn during(&self, days: Days) -> Tally {
        let mut all = Tally::default();
        self.days().filter(|(day, _)| days.contains(*day)).for_each(|(_, tally)| all.merge(tally.clone()));
        all
    }

    /// The quality index on these days.
    pub fn index_during(&self, days: Days) -> Moments {
        let mut all = Moments::default();
        self.days().filter(|(day, _)| days.contains(*day)).for_each(|(_, tally)| all.merge(*tally.index()));
        all
    }

    /// Documents on these days.
    pub fn documents_during(&self, days: Days) -> u64 {
        self.days().filter(|(day, _)| days.contains(*day)).map(|(_, tally)| tally.documents()).sum()
    }

    /// Documents, whatever their day.
    pub fn documents(&self) -> u64 {
        self.days().map(|(_, tally)| tally.documents()).sum::<u64>() + self.earlier()
    }

    /// Documents older than the days that are kept.
    pub fn earlier(&self) -> u64 {
        self.days.other().map_or(0, Tally::documents)
    }
}

impl Merge for Series {
    fn merge(&mut self, other: Self) {
        self.days.merge(other.days);
        self.hours.merge(other.hours);
    }
}
