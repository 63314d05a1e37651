//! First and second opinions on the same summaries, to tell how far a judge agrees with itself.
//!
//! A second opinion may come before the first, and most first ones never have a second. So all are
//! kept until their partner comes, by the place that the policy chooses second opinions by
//! ([`precis_policy::second_opinion_place`]), and the lowest [`MAX_OPINIONS`] places stay. Those
//! are the ones that are judged twice: what waits in vain goes first, and if there are more pairs
//! than that, those that stay are a random sample of them.

use precis_policy::second_opinion_place;
use precis_schemas::{Evaluation, JudgeScores};

use super::series::FIRST_ROUND;
use super::{Bounded, Criterion, Merge};
use crate::calendar::Day;

/// Most documents of a series, over all its days, whose opinions are kept.
pub const MAX_OPINIONS: usize = 1_024;

/// Opinions by place.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Opinions(Bounded<u64, Both, MAX_OPINIONS>);

/// What was said of one document. Two that have one place are one in 10^16 pairs of documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Both {
    first: Option<(Day, Numbers)>,
    second: Option<Numbers>,
}

/// The numbers of the criteria, each from 1 to 5.
pub type Numbers = [u8; Criterion::ALL.len()];

impl Opinions {
    /// Keeps an opinion of this day.
    pub(super) fn add(&mut self, day: Day, evaluation: &Evaluation, scores: &JudgeScores) {
        let Evaluation { tenant, document_id, revision, .. } = evaluation;
        let place = second_opinion_place(tenant, document_id, *revision);
        // Places are at least 0, and so in the order of their bits.
        let both = self.0.slot(place.value().to_bits());
        let numbers = Criterion::numbers(scores);
        both.merge(match evaluation.round {
            FIRST_ROUND => Both { first: Some((day, numbers)), second: None },
            _ => Both { first: None, second: Some(numbers) },
        });
    }

    /// The first and the second opinion on documents that were first judged on one of these days.
    pub fn pairs(&self, is_asked: impl Fn(Day) -> bool) -> Vec<(Numbers, Numbers)> {
        let kept = self.0.kept().filter_map(|(_, both)| Some((both.first?, both.second?)));
        kept.filter(|((day, _), _)| is_asked(*day)).map(|((_, first), second)| (first, second)).collect()
    }
}

impl Merge for Opinions {
    fn merge(&mut self, other: Self) {
        self.0.merge(other.0);
    }
}

impl Merge for Both {
    /// One document has one opinion a round. Of several the least is kept, whatever came first.
    fn merge(&mut self, other: Self) {
        self.first = least(self.first, other.first);
        self.second = least(self.second, other.second);
    }
}

fn least<T: Ord>(left: Option<T>, right: Option<T>) -> Option<T> {
    match (left, right) {
        (Some(left), Some(right)) => Some(left.min(right)),
        (left, right) => left.or(right),
    }
}
