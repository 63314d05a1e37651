//! One series: its days, and its hours for the sequential test.

use std::cmp::Reverse;

use precis_schemas::{Evaluation, Outcome};

use super::judged::Weight;
use super::{Bounded, Judged, Merge, Moments, Opinions, Tally};
use crate::calendar::{Day, Days, Hour};

/// Most days of a series that are kept apart, the newest: two months.
pub const MAX_DAYS: usize = 62;

/// Most hours of a series that are kept apart, the newest: as many as the days have.
pub const MAX_HOURS: usize = MAX_DAYS * 24;

/// The round of a first opinion.
pub(super) const FIRST_ROUND: i32 = 1;

/// What the outcomes of one key say, or of several keys together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Series {
    days: Bounded<Reverse<Day>, Tally, MAX_DAYS>,
    /// The quality index by hour.
    hours: Bounded<Reverse<Hour>, Moments, MAX_HOURS>,
    /// First opinions of judges, by the day on which they were given.
    judged: Bounded<Reverse<Day>, Judged, MAX_DAYS>,
    opinions: Opinions,
}

impl Series {
    /// Counts an outcome that was settled in this hour.
    pub fn add(&mut self, hour: Hour, outcome: &Outcome) {
        self.days.slot(Reverse(hour.day())).add(outcome);
        if let Some(index) = outcome.quality_index {
            self.hours.slot(Reverse(hour)).add(index);
        }
    }

    /// Counts an evaluation that was settled on this day. One whose probability is none says
    /// nothing of other documents, and is left out.
    pub fn add_evaluation(&mut self, day: Day, evaluation: &Evaluation) {
        let Some(weight) = Weight::of(evaluation.probability) else { return };
        if evaluation.round == FIRST_ROUND {
            self.judged.slot(Reverse(day)).add(evaluation, weight);
        }
        if let Some(scores) = &evaluation.scores {
            self.opinions.add(day, evaluation, scores);
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

    /// What judges said on these days.
    pub fn judged_during(&self, days: Days) -> Judged {
        let mut all = Judged::default();
        let kept = self.judged.kept().filter(|(day, _)| days.contains(day.0));
        kept.for_each(|(_, judged)| all.merge(judged.clone()));
        all
    }

    /// Whether judges were asked.
    pub fn has_evaluations(&self) -> bool {
        self.judged.kept().next().is_some()
    }

    /// First and second opinions on the same summaries.
    pub fn opinions(&self) -> &Opinions {
        &self.opinions
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
        self.judged.merge(other.judged);
        self.opinions.merge(other.opinions);
    }
}
