//! The fold does not mind order and parting, and its size is bounded.
#![allow(clippy::unwrap_used)]

use precis_schemas::{ModelIdentity, Status};
use proptest::prelude::*;

use super::*;
use crate::calendar::Days;
use crate::testing::{HOUR, answered, failed, judged, judged_as, not_judged};

fn view_of<'a>(outcomes: impl IntoIterator<Item = &'a Outcome>) -> View {
    let mut view = View::default();
    outcomes.into_iter().for_each(|outcome| view.add(outcome));
    view
}

prop_compose! {
    /// Outcomes of few series and many days, so that days go beyond their bound.
    fn any_outcome()(
        tier in 0..3_u8, kind in 0..3_u8, hour in 0..3000_i64, index in 0.0..1.0_f64, words in 0..100_000_i32,
        status in 0..3_u8, fails in any::<bool>(),
    ) -> Outcome {
        let mut outcome = answered();
        outcome.tier = Some(format!("tier{tier}"));
        outcome.document_type = format!("type{kind}");
        outcome.settled_at = hour * HOUR + 17;
        outcome.words_in = words;
        outcome.status = [Status::Answered, Status::Flagged, Status::Failed][usize::from(status)];
        outcome.quality_index = (outcome.status != Status::Failed).then_some(index);
        if fails {
            outcome.checks.push(failed("unsupported_names"));
        }
        outcome
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However outcomes are parted into batches, and in whatever order they are read, the view is
    /// the same.
    #[test]
    fn order_and_batches_do_not_change_the_view(
        outcomes in proptest::collection::vec(any_outcome(), 1..300), batch in 1..100_usize,
    ) {
        let whole = view_of(&outcomes);
        let mut merged = View::default();
        outcomes.chunks(batch).for_each(|part| merged.merge(view_of(part)));
        prop_assert_eq!(&merged, &whole);
        let mut turned = view_of(&outcomes[outcomes.len() / 2..]);
        turned.merge(view_of(outcomes[..outcomes.len() / 2].iter().rev()));
        prop_assert_eq!(&turned, &whole);
    }

    /// The series over several keys, merged, say what one series of all their outcomes says.
    #[test]
    fn merged_series_are_the_series_of_merged_outcomes(
        outcomes in proptest::collection::vec(any_outcome(), 1..300), tier in 0..3_u8,
    ) {
        let view = view_of(&outcomes);
        let tier = format!("tier{tier}");
        let mut merged = Series::default();
        for (_, series) in view.series().filter(|(key, _)| key.unwrap().tier == tier) {
            merged.merge(series.clone());
        }
        let mut direct = Series::default();
        for outcome in outcomes.iter().filter(|outcome| outcome.tier.as_deref() == Some(tier.as_str())) {
            direct.add(Hour::of(outcome.settled_at), outcome);
        }
        prop_assert_eq!(&merged, &direct);
        prop_assert_eq!(merged.documents(), merged.days().map(|(_, day)| day.documents()).sum::<u64>() + merged.earlier());
    }

    /// A full map keeps the first keys in order, whenever they came, and loses no count.
    #[test]
    fn a_full_map_keeps_its_first_keys(keys in proptest::collection::vec(0..30_u8, 1..200), part in 0..200_usize) {
        let count = |keys: &[u8]| {
            let mut map = Bounded::<u8, u64, 5>::default();
            for key in keys {
                *map.slot(*key) += 1;
            }
            map
        };
        let (left, right) = keys.split_at(part.min(keys.len()));
        let mut merged = count(right);
        merged.merge(count(left));
        let whole = count(&keys);
        prop_assert_eq!(&merged, &whole);
        let distinct: BTreeSet<u8> = keys.iter().copied().collect();
        prop_assert!(whole.kept().map(|(key, _)| *key).eq(distinct.into_iter().take(5)));
        let all = whole.kept().map(|(_, count)| count).sum::<u64>() + whole.other().copied().unwrap_or(0);
        prop_assert_eq!(all, keys.len() as u64);
    }
}

#[test]
fn series_beyond_the_bound_are_counted_together() {
    let mut view = View::default();
    for number in 0..MAX_SERIES + 10 {
        view.add(&Outcome { document_type: format!("type{number:06}"), ..answered() });
    }
    assert_eq!((view.series().count(), view.beyond()), (MAX_SERIES + 1, 10));
    assert!(view.series().any(|(key, series)| key.is_none() && series.documents() == 10));
}

#[test]
fn the_newest_days_are_kept() {
    let days = MAX_DAYS as i64 + 5;
    let view = view_of(&(0..days).map(|day| Outcome { settled_at: day * 24 * HOUR, ..answered() }).collect::<Vec<_>>());
    assert_eq!((view.days().len(), view.earlier()), (MAX_DAYS, 5));
    assert_eq!(view.days().first().unwrap().to_string(), "1970-01-06");
}

#[test]
fn outcomes_are_told_apart_as_they_name_themselves() {
    let mut other = answered();
    other.tier = None;
    other.model = None;
    other.document_type = String::new();
    other.language = None;
    let mut adapted = answered();
    let model = adapted.model.as_mut().unwrap();
    (model.adapter, model.quantisation) = (Some("legal".to_owned()), "q4_k".to_owned());
    let text = |outcome: &Outcome| {
        let key = SeriesKey::of(outcome);
        Axis::ALL.map(|axis| key.value(axis).to_owned()).join("|")
    };
    assert_eq!(text(&answered()), "gpu|precis/small@v1|p1|letter|en");
    assert_eq!(text(&other), "none|none|none|none|unknown");
    assert_eq!(text(&adapted), "gpu|precis/small+legal q4_k@v1|p1|letter|en");
    assert_eq!(SeriesKey::of(&adapted).provider(), "precis");
}

#[test]
fn every_document_has_one_ending() {
    let extract = Outcome { model: Some(ModelIdentity::extractor("1")), ..answered() };
    let flagged = Outcome { status: Status::Flagged, ..answered() };
    let refused = Outcome { checks: vec![failed("refusal"), failed("length")], ..flagged.clone() };
    let lost = Outcome { status: Status::Failed, quality_index: None, checks: Vec::new(), ..answered() };
    let canary = Outcome { purpose: Purpose::Canary, ..answered() };
    let view = view_of(&[answered(), extract, flagged, refused, lost, canary]);
    let mut all = Series::default();
    view.series().for_each(|(_, series)| all.merge(series.clone()));
    let (_, tally) = all.days().next().unwrap();
    assert_eq!(Ending::ALL.map(|ending| tally.ended(ending)), [1; 5]);
    assert_eq!((tally.documents(), tally.checked(), tally.index().count()), (5, 4, 4));
    assert!(tally.failed_checks().eq([("length", 1), ("refusal", 1)]));
    assert_eq!(tally.score(Score::Coverage).count(), 3);
}

mod evaluations;
