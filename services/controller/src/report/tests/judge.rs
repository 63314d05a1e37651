//! What judges said: estimated over all summaries, with failures apart.

use precis_schemas::Evaluation;

use super::*;

/// Eight quiet days with a judge on the last `days`: documents of an index below 0.85 are judged at
/// 60 %, the others at 20 %. The judge says 0.4 less than the index on average, and fails on a
/// tenth.
fn judged_days(days: i64) -> View {
    let (mut random, mut view) = (Random::new(7), View::default());
    for number in 0..8 * 24 * 20_i64 {
        let hour = number / 20;
        let index = 0.75 + 0.2 * random.unit();
        view.add(&Outcome { settled_at: hour * HOUR, quality_index: Some(index), ..answered() });
        let probability = if index < 0.85 { 0.6 } else { 0.2 };
        if hour < (8 - days) * 24 || random.unit() >= probability {
            continue;
        }
        let evaluation = |random: &mut Random| {
            // Whole numbers, rounded by chance, so that their mean is what is rounded.
            let numbers = [(); 4].map(|()| (1.0 + 4.0 * (index - 0.4) + random.unit()) as i32);
            if random.unit() < 0.1 { not_judged("judge_unreadable") } else { judged_as(numbers) }
        };
        for round in 1..=1 + i32::from(random.unit() < 0.05) {
            let document_id = format!("d-{number}");
            let evaluation = evaluation(&mut random);
            let quality_index = Some(index);
            view.add_evaluation(&Evaluation {
                document_id,
                round,
                probability,
                quality_index,
                settled_at: hour * HOUR,
                ..evaluation
            });
        }
    }
    view
}

#[test]
fn the_score_is_of_all_summaries_and_narrower_than_the_judges_own() {
    let found = compared(&judged_days(8), &[Axis::Tier]);
    assert_eq!(found.layers, ["automatic", "judge"]);
    let gpu = group(&found, Axis::Tier, "gpu");
    for figures in [&gpu.current, gpu.baseline.as_ref().unwrap()] {
        let judge = figures.judge.as_ref().unwrap();
        let score = judge.score.unwrap();
        let mean = figures.index.unwrap().mean - 0.4;
        assert!(score.interval.contains(mean) && score.covered >= 1.0, "{mean}: {score:?}");
        assert!(score.interval.width() < 0.95 * score.judge_alone.width(), "{score:?}");
        assert!((judge.failed_share - 0.1).abs() < 0.04, "{judge:?}");
        assert_eq!(judge.failures.keys().collect::<Vec<_>>(), ["judge_unreadable"]);
        assert_eq!((judge.missing, judge.same_model, judge.judges["elsewhere/large"]), (0, 0, judge.judged));
        assert!(judge.criteria.values().all(|mean| (2.5..3.1).contains(mean)), "{judge:?}");
    }
    let agreement = gpu.self_agreement.unwrap();
    assert!(agreement.pairs >= 30 && agreement.within_one_point > 0.9, "{agreement:?}");
    assert!(agreement.kappa.unwrap() > 0.0, "{agreement:?}");
}

/// Where the judge was switched on within the baseline, its days before are not covered.
#[test]
fn days_before_the_judge_are_not_covered() {
    let found = compared(&judged_days(4), &[Axis::Tier]);
    let gpu = group(&found, Axis::Tier, "gpu");
    let before = gpu.baseline.as_ref().unwrap().judge.as_ref().unwrap().score.unwrap();
    assert!((before.covered - 3.0 / 7.0).abs() < 0.05 && before.index_trust == 0.0, "{before:?}");
    assert_eq!(before.interval, before.judge_alone);
    assert!(gpu.current.judge.as_ref().unwrap().score.unwrap().covered >= 1.0);
}

#[test]
fn too_few_judged_documents_give_no_score() {
    let mut view = View::default();
    for number in 0..100_i64 {
        view.add(&Outcome { settled_at: number, ..answered() });
        if number < 12 {
            view.add_evaluation(&judged_as([5, 5, 4, 4]));
        }
    }
    view.add_evaluation(&not_judged("no_judge"));
    let found = compared(&view, &[Axis::Tier]);
    let judge = found.groups[0].current.judge.as_ref().unwrap();
    assert_eq!((judge.judged, judge.failed, judge.score, judge.missing), (12, 1, None, 18));
    assert_eq!(found.groups[0].self_agreement, None);
}

#[test]
fn without_evaluations_the_judge_is_no_layer() {
    let found = compared(&eight_days(|_, _, _| 0.85), &[Axis::Tier]);
    assert_eq!((found.layers, &found.groups[0].current.judge), (&["automatic"][..], &None));
}

/// The JSON that programs read.
#[test]
fn what_judges_said_is_json_by_name() {
    let found = compared(&judged_days(8), &[Axis::Tier]);
    let json = serde_json::to_value(&found).unwrap();
    let judge = &json["groups"][0]["current"]["judge"];
    for number in [&judge["criteria"]["faithfulness"], &judge["score"]["interval"]["low"], &judge["failed_share"]] {
        assert!(number.is_number(), "{judge}");
    }
    assert!(json["groups"][0]["self_agreement"]["pairs"].is_number());
}
