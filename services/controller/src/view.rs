//! A view of outcomes: counts, moments and inputs of each series, by day and hour, and what judges
//! said of a sample of them.
//!
//! A series is the outcomes of one tier, model, prompt, document type and language. The view is a
//! fold, one outcome or evaluation at a time, and views can be merged.
//!
//! **The order of the outcomes does not matter.** Partitions are read beside each other, so one
//! reading of a topic has another order than the next. All sums are of integers, which add up to
//! the same in every order, and what is kept of a map that is full depends on the keys alone
//! ([`Bounded`]). So a view is the same however its outcomes were parted and merged, and a series
//! over several keys is the merge of theirs.
//!
//! **An outcome is counted once**, since it is on the topic once: the transaction that publishes an
//! outcome commits the offset of the record that it answers. A repeat, which its header marks, is
//! for the caller to leave out. An evaluation may be on its topic more than once, with the same
//! bytes: all but one of the records of one document and round are for the caller to leave out,
//! too.
//!
//! **An evaluation belongs to the day on which it was judged**, which is that of its outcome but
//! for those around midnight, since it does not say when its outcome was settled.
//!
//! **The size is bounded**: [`MAX_SERIES`] series, each with [`MAX_DAYS`] days and [`MAX_HOURS`]
//! hours. What goes beyond is counted together, under no series' name; [`View::beyond`] says how
//! much. First and second opinions are kept for [`MAX_OPINIONS`] documents of a series; beyond
//! that, pairs of them are a random sample.

mod bounded;
mod judged;
mod key;
mod lengths;
mod moments;
mod opinions;
mod series;
mod tally;

use std::collections::BTreeSet;

use precis_schemas::{Evaluation, Outcome, Purpose};

use crate::calendar::{Day, Hour};

pub use bounded::{Bounded, Merge};
pub use judged::{Criterion, Judged};
pub use key::{Axis, SeriesKey};
pub use lengths::Lengths;
pub use moments::Moments;
pub use opinions::{MAX_OPINIONS, Numbers, Opinions};
pub use series::{MAX_DAYS, MAX_HOURS, Series};
pub use tally::{Ending, MAX_CHECKS, Score, Tally};

/// Most series that are kept apart: those whose keys come first in their order.
pub const MAX_SERIES: usize = 4_096;

/// What outcomes say, by series.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct View {
    series: Bounded<SeriesKey, Series, MAX_SERIES>,
}

impl View {
    /// Counts an outcome. Those that settle no document, such as a canary's, are none of the
    /// view's.
    pub fn add(&mut self, outcome: &Outcome) {
        if outcome.purpose == Purpose::Production {
            self.series.slot(SeriesKey::of(outcome)).add(Hour::of(outcome.settled_at), outcome);
        }
    }

    /// Counts what a judge said of a summary, or that it said nothing.
    pub fn add_evaluation(&mut self, evaluation: &Evaluation) {
        let day = Hour::of(evaluation.settled_at).day();
        self.series.slot(SeriesKey::of_evaluation(evaluation)).add_evaluation(day, evaluation);
    }

    /// Adds what another view counted.
    pub fn merge(&mut self, other: Self) {
        self.series.merge(other.series);
    }

    /// The series with their keys, and those beyond the bound together, which have none.
    pub fn series(&self) -> impl Iterator<Item = (Option<&SeriesKey>, &Series)> {
        let kept = self.series.kept().map(|(key, series)| (Some(key), series));
        kept.chain(self.series.other().map(|series| (None, series)))
    }

    /// Whether evaluations were counted.
    pub fn has_evaluations(&self) -> bool {
        self.series().any(|(_, series)| series.has_evaluations())
    }

    /// How many documents belong to series beyond [`MAX_SERIES`].
    pub fn beyond(&self) -> u64 {
        self.series.other().map_or(0, Series::documents)
    }

    /// How many documents are older than the days that are kept.
    pub fn earlier(&self) -> u64 {
        self.series().map(|(_, series)| series.earlier()).sum()
    }

    /// The days on which outcomes were settled, as far as they are kept.
    pub fn days(&self) -> BTreeSet<Day> {
        self.series().flat_map(|(_, series)| series.days().map(|(day, _)| day)).collect()
    }
}

#[cfg(test)]
mod tests;
