//! Evaluations in the fold: no order changes a figure, and sums are those of the documents.

use precis_statistics::estimate::JudgedSample;

use super::*;

/// The day of hour 0.
fn first_day() -> Days {
    let day = Hour::of(0).day();
    Days { from: day, to: day }
}

fn view_of_evaluations<'a>(evaluations: impl IntoIterator<Item = &'a Evaluation>) -> View {
    let mut view = View::default();
    evaluations.into_iter().for_each(|evaluation| view.add_evaluation(evaluation));
    view
}

fn whole(view: &View) -> Series {
    let mut whole = Series::default();
    view.series().for_each(|(_, series)| whole.merge(series.clone()));
    whole
}

fn named(number: usize) -> Evaluation {
    Evaluation { document_id: format!("d-{number}"), ..judged() }
}

prop_compose! {
    /// Evaluations of few series, many days and unequal probabilities; some failed, some second.
    fn any_evaluation()(
        document in 0..40_usize, tier in 0..3_u8, hour in 0..3000_i64, numbers in proptest::array::uniform4(1..=5_i32),
        index in proptest::option::of(0.0..1.0_f64), probability in 0.001..1.0_f64, round in 1..=2_i32,
        fails in any::<bool>(),
    ) -> Evaluation {
        let made = if fails { not_judged(["no_judge", "judge_unreadable"][document % 2]) } else { judged_as(numbers) };
        Evaluation {
            document_id: format!("d-{document}"),
            tier: Some(format!("tier{tier}")),
            settled_at: hour * HOUR,
            quality_index: index,
            probability,
            round,
            ..made
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_order_of_evaluations_does_not_change_the_view(
        evaluations in proptest::collection::vec(any_evaluation(), 1..300), batch in 1..100_usize,
    ) {
        let whole = view_of_evaluations(&evaluations);
        let mut merged = View::default();
        evaluations.rchunks(batch).for_each(|part| merged.merge(view_of_evaluations(part.iter().rev())));
        prop_assert_eq!(&merged, &whole);
    }

    /// Which opinions are kept of more than there is room for depends on the documents alone.
    #[test]
    fn the_order_of_opinions_does_not_change_the_pairs(turn in 0..3000_usize, batch in 1..700_usize) {
        let mut evaluations: Vec<_> = (0..1500).flat_map(|number| {
            [named(number), Evaluation { round: 2, ..named(number) }]
        }).collect();
        let whole = view_of_evaluations(&evaluations);
        evaluations.rotate_left(turn);
        let mut merged = View::default();
        evaluations.rchunks(batch).for_each(|part| merged.merge(view_of_evaluations(part)));
        prop_assert_eq!(&merged, &whole);
    }
}

#[test]
fn evaluations_are_of_the_series_of_their_outcome() {
    let mut view = view_of(&[answered()]);
    view.add_evaluation(&judged());
    assert_eq!((view.series().count(), view.days().len()), (1, 1));
    assert!(view.has_evaluations() && !view_of(&[answered()]).has_evaluations());
    assert_eq!(whole(&view).documents(), 1);
}

/// Each document counts by the reciprocal of its probability: 2 and 10 times.
#[test]
fn documents_weigh_by_the_reciprocal_of_their_probability() {
    let bad = Evaluation { probability: 0.1, quality_index: Some(0.5), ..judged_as([1, 2, 1, 2]) };
    let failed = Evaluation { probability: 0.25, ..not_judged("no_judge") };
    let second = Evaluation { round: 2, ..judged_as([1, 1, 1, 1]) };
    let lawless = Evaluation { probability: 0.0, ..judged() };
    let judged = whole(&view_of_evaluations(&[judged(), bad, failed, second, lawless])).judged_during(first_day());
    assert_eq!(judged.documents(), 2);
    assert!(judged.judges().eq([("elsewhere/large", 2)]) && judged.failures().eq([("no_judge", 1)]));
    let near = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-9, "{found} instead of {expected}");
    near(judged.criterion(Criterion::Faithfulness).unwrap(), (2.0 * 5.0 + 10.0 * 1.0) / 12.0);
    near(judged.criterion(Criterion::Conciseness).unwrap(), (2.0 * 4.0 + 10.0 * 2.0) / 12.0);
    let JudgedSample { documents, weight, squared_weight, judge, index, asked_weight, weighted, squared, .. } =
        judged.sample();
    assert_eq!(documents, 2);
    near(weight, 12.0);
    near(squared_weight, 104.0);
    near(asked_weight, 16.0);
    // Scores 0.875 and 0.125, indices 0.9 and 0.5.
    near(judge, (2.0 * 0.875 + 10.0 * 0.125) / 12.0);
    near(index, (2.0 * 0.9 + 10.0 * 0.5) / 12.0);
    let (far, near_by) = (0.75 * 10.0 / 12.0, 0.75 * 2.0 / 12.0);
    near(weighted.judge, 2.0 * far * far + 10.0 * near_by * near_by);
    near(squared.both, 0.4 / 0.75 * (4.0 * far * far + 100.0 * near_by * near_by));
}

/// Second opinions come before or after, and on another day.
#[test]
fn second_opinions_find_their_first() {
    let first = |number: usize| named(number);
    let second = |number: usize| Evaluation { round: 2, settled_at: 30 * HOUR, ..named(number) };
    let view = view_of_evaluations(&[second(1), first(1), first(2), second(2), first(3), second(4)]);
    let opinions = whole(&view);
    assert_eq!(opinions.opinions().pairs(|day| first_day().contains(day)), [([5, 4, 5, 4], [5, 4, 5, 4]); 2]);
    assert!(opinions.opinions().pairs(|day| !first_day().contains(day)).is_empty());
}

/// Of ten times as many judged documents as there is room for, those that the policy has judged
/// twice stay.
#[test]
fn opinions_that_wait_in_vain_make_room_for_pairs() {
    let documents = 10 * MAX_OPINIONS;
    let is_twice =
        |number: &usize| precis_policy::second_opinion_place("acme", &format!("d-{number}"), 0).value() < 0.05;
    let twice: Vec<_> = (0..documents).filter(is_twice).collect();
    let mut view = view_of_evaluations(&(0..documents).map(named).collect::<Vec<_>>());
    for number in &twice {
        view.add_evaluation(&Evaluation { round: 2, ..named(*number) });
    }
    assert!(twice.len() > 400);
    assert_eq!(whole(&view).opinions().pairs(|_| true).len(), twice.len());
}
