//! Tests of the figure, among them 2,000 simulated months with a biased judge.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::sampling::{Rate, Sampler};
use crate::testing::Random;

/// Simulated months.
const RUNS: u32 = 2000;

const CONFIDENCE: Confidence = Confidence::NINETY_FIVE_PERCENT;

fn rate(value: f64) -> Rate {
    Rate::new(value).unwrap()
}

/// A stratum's population: how good its summaries are, and at which rates they are looked at.
#[derive(Clone, Copy)]
struct Population {
    documents: usize,
    /// Mean quality.
    quality: f64,
    judge_rate: f64,
    person_rate: f64,
}

const ROUTINE: Population = Population { documents: 3000, quality: 0.85, judge_rate: 0.1, person_rate: 0.02 };
const CRITICAL: Population = Population { documents: 1000, quality: 0.7, judge_rate: 0.3, person_rate: 0.1 };

/// A person's label, the judge's score and the automatic score of a document.
///
/// The judge is biased: too mild by 0.1 in the mean, most where the summary is bad. The automatic
/// score says little.
fn draw(random: &mut Random, population: &Population) -> [f64; 3] {
    // Between half and one and a half of the distance to the nearest end, so never clipped.
    let spread = population.quality.min(1.0 - population.quality);
    let person = population.quality + spread * (2.0 * random.unit() - 1.0);
    let judge = (0.4 + 0.6 * person + 0.04 * random.normal()).clamp(0.0, 1.0);
    let automatic = (0.5 + 0.3 * (person - 0.5) + 0.1 * random.normal()).clamp(0.0, 1.0);
    [person, judge, automatic]
}

fn scored(values: [f64; 3], place: f64, population: &Population) -> Scored {
    let [person, judge, automatic] = values;
    let layers = if place < population.person_rate {
        Layers::Reviewed { judge: Some(judge), person }
    } else if place < population.judge_rate {
        Layers::Judged { judge }
    } else {
        Layers::Automatic
    };
    let (judge_rate, person_rate) = (rate(population.judge_rate), rate(population.person_rate));
    Scored { automatic, layers, judge_rate, person_rate }
}

fn month(random: &mut Random, population: &Population) -> Vec<Scored> {
    let document = |_| scored(draw(random, population), random.unit(), population);
    (0..population.documents).map(document).collect()
}

/// Coverage is 95 % ± 1 over 2,000 runs, the bias is gone, and the interval is narrower by three
/// tenths than that of people alone: what twice as many labels would give.
#[test]
fn a_biased_judge_narrows_the_interval_and_coverage_stays() {
    let mut random = Random::new(11);
    let truth = 0.75 * ROUTINE.quality + 0.25 * CRITICAL.quality;
    let (mut held, mut held_alone, mut width, mut width_alone, mut bias) = (0, 0, 0.0, 0.0, 0.0);
    for _ in 0..RUNS {
        let (routine, critical) = (month(&mut random, &ROUTINE), month(&mut random, &CRITICAL));
        let figure = figure(&[&routine, &critical], CONFIDENCE).unwrap();
        held += u32::from(figure.interval.contains(truth));
        held_alone += u32::from(figure.people_alone.contains(truth));
        width += figure.interval.width();
        width_alone += figure.people_alone.width();
        bias += figure.value.unwrap() - truth;
    }
    let share = |count: u32| f64::from(count) / f64::from(RUNS);
    let summary = format!(
        "covered {}, people alone {}; width {:.4} beside {:.4}; bias {:.5}",
        share(held),
        share(held_alone),
        width / f64::from(RUNS),
        width_alone / f64::from(RUNS),
        bias / f64::from(RUNS),
    );
    assert!((0.94..=0.96).contains(&share(held)), "{summary}");
    assert!((0.94..=0.96).contains(&share(held_alone)), "{summary}");
    assert!(width < 0.7 * width_alone, "{summary}");
    assert!((bias / f64::from(RUNS)).abs() < 0.0005, "{summary}");
}

/// A judge and metrics that say nothing cost next to nothing: the tuned trust in them is near 0.
#[test]
fn useless_predictions_hardly_widen_the_interval() {
    let mut random = Random::new(16);
    let truth = CRITICAL.quality;
    let (mut held, mut width, mut width_alone) = (0, 0.0, 0.0);
    for _ in 0..1000 {
        let noise = |random: &mut Random| {
            let [person, ..] = draw(random, &CRITICAL);
            scored([person, random.unit(), random.unit()], random.unit(), &CRITICAL)
        };
        let documents: Vec<_> = (0..CRITICAL.documents).map(|_| noise(&mut random)).collect();
        let figure = figure(&[&documents], CONFIDENCE).unwrap();
        held += u32::from(figure.interval.contains(truth));
        width += figure.interval.width();
        width_alone += figure.people_alone.width();
    }
    assert!((930..=970).contains(&held), "{held} of 1,000");
    assert!(width < 1.02 * width_alone, "{width} beside {width_alone}");
}

/// Labels alone give Student's interval: mean ± t s / √n, with t = 2.776 for five of them.
#[test]
fn people_alone_have_the_interval_of_student() {
    let five = figure(&[&reviewed(&[0.4, 0.5, 0.5, 0.6, 0.6])], CONFIDENCE).unwrap();
    let margin = 2.776_445_105_197_793 * (0.028_f64 / 4.0 / 5.0).sqrt();
    for interval in [five.interval, five.people_alone] {
        assert!((interval.low - (0.52 - margin)).abs() < 1e-9, "{five:?}");
        assert!((interval.high - (0.52 + margin)).abs() < 1e-9, "{five:?}");
    }
}

/// Rates that rose in the middle of a month, in one stratum: people see more of the worse half.
#[test]
fn probabilities_of_a_changed_rate_are_weighted() {
    let mut random = Random::new(12);
    let early = Population { documents: 500, quality: 0.8, judge_rate: 0.5, person_rate: 0.1 };
    let late = Population { documents: 500, quality: 0.6, judge_rate: 0.6, person_rate: 0.4 };
    let mut held = 0;
    for _ in 0..1000 {
        let both = [month(&mut random, &early), month(&mut random, &late)].concat();
        held += u32::from(figure(&[&both], CONFIDENCE).unwrap().interval.contains(0.7));
    }
    assert!((930..=975).contains(&held), "{held} of 1,000");
}

/// The hash's samples are nested, so a person's label comes with the judge's score.
#[test]
fn samples_of_the_hash_give_the_figure() {
    let (mut random, sampler) = (Random::new(13), Sampler::new("quality 1"));
    let documents: Vec<_> = (0..4000)
        .map(|id: u32| {
            let place = sampler.place(&["acme", &id.to_string(), "0"]);
            scored(draw(&mut random, &CRITICAL), place.value(), &CRITICAL)
        })
        .collect();
    let figure = figure(&[&documents], CONFIDENCE).unwrap();
    assert!(figure.interval.contains(0.7), "{figure:?}");
    assert_eq!(figure.documents, 4000);
    assert!((1000..1400).contains(&figure.judged) && (320..480).contains(&figure.labels), "{figure:?}");
    assert_eq!(figure.covered.to_bits(), 1.0_f64.to_bits());
}

fn reviewed(labels: &[f64]) -> Vec<Scored> {
    let layers = |person: &f64| Layers::Reviewed { judge: Some(0.5), person: *person };
    let document =
        |person| Scored { automatic: 0.5, layers: layers(person), judge_rate: Rate::ALL, person_rate: rate(0.5) };
    labels.iter().map(document).collect()
}

#[test]
fn no_label_and_one_label_say_nothing() {
    for labels in [&[][..], &[0.9]] {
        let documents = reviewed(labels);
        let figure = figure(&[&documents], CONFIDENCE).unwrap();
        assert_eq!((figure.value, figure.interval, figure.covered), (None, Interval::UNIT, 0.0));
    }
    assert_eq!(figure(&[], CONFIDENCE).unwrap().interval, Interval::UNIT);
    let two = figure(&[&reviewed(&[0.6, 0.8])], CONFIDENCE).unwrap();
    assert!((two.value.unwrap() - 0.7).abs() < 1e-12);
    assert_eq!(two.interval, Interval::UNIT, "a t of one degree of freedom is 12.7");
}

/// Ten good labels of ten do not prove that all are good: up to 31 % may be bad.
#[test]
fn labels_that_are_all_alike_prove_no_certainty() {
    let ten = figure(&[&reviewed(&[1.0; 10])], CONFIDENCE).unwrap();
    let bound = 1.0 - 0.025_f64.powf(0.1);
    assert!((ten.interval.low - (1.0 - bound)).abs() < 1e-9, "{ten:?}");
    assert!((ten.value.unwrap() - 1.0).abs() < 1e-12 && (ten.interval.high - 1.0).abs() < 1e-12);
    // Ten times ten in ten strata are as good as a hundred in one.
    let strata = vec![reviewed(&[1.0; 10]); 10];
    let strata: Vec<&[Scored]> = strata.iter().map(Vec::as_slice).collect();
    let hundred = figure(&strata, CONFIDENCE).unwrap();
    assert!((hundred.interval.low - 0.025_f64.powf(0.01)).abs() < 1e-9, "{hundred:?}");
}

#[test]
fn what_nobody_reviews_may_be_anything() {
    let mut random = Random::new(14);
    let seen = month(&mut random, &CRITICAL);
    let unseen = month(&mut random, &Population { documents: 3000, person_rate: 0.0, ..CRITICAL });
    let (alone, both) = (figure(&[&seen], CONFIDENCE).unwrap(), figure(&[&seen, &unseen], CONFIDENCE).unwrap());
    assert_eq!(both.covered.to_bits(), 0.25_f64.to_bits());
    assert!((both.value.unwrap() - alone.value.unwrap()).abs() < 1e-12);
    assert!((both.interval.low - 0.25 * alone.interval.low).abs() < 1e-9, "{both:?}");
    assert!((both.interval.high - (0.25 * alone.interval.high + 0.75)).abs() < 1e-9, "{both:?}");
}

/// A judge that is asked less often than people, or that failed, is left out; metrics still help.
#[test]
fn a_judge_that_is_not_nested_is_left_out() {
    let mut random = Random::new(15);
    let mut documents = month(&mut random, &CRITICAL);
    let position = documents.iter().position(|document| matches!(document.layers, Layers::Reviewed { .. })).unwrap();
    let Layers::Reviewed { person, .. } = documents[position].layers else { unreachable!() };
    documents[position].layers = Layers::Reviewed { judge: None, person };
    let figure = figure(&[&documents], CONFIDENCE).unwrap();
    assert!(figure.interval.contains(0.7), "{figure:?}");
    assert!(figure.interval.width() < figure.people_alone.width());
}

#[test]
fn scores_and_rates_that_cannot_be_are_refused() {
    let mut documents = reviewed(&[0.5, 0.6]);
    let code = |documents: &[Scored]| figure(&[documents], CONFIDENCE).unwrap_err().code();
    for wrong in [f64::NAN, 1.01, -0.01, f64::INFINITY] {
        documents[0].automatic = wrong;
        assert_eq!(code(&documents), "value_out_of_range");
        documents[0].automatic = 0.5;
        documents[1].layers = Layers::Reviewed { judge: Some(wrong), person: 0.5 };
        assert_eq!(code(&documents), "value_out_of_range");
        documents[1].layers = Layers::Judged { judge: wrong };
        assert_eq!(code(&documents), "value_out_of_range");
        documents[1].layers = Layers::Reviewed { judge: None, person: wrong };
        assert_eq!(code(&documents), "value_out_of_range");
        documents[1].layers = Layers::Automatic;
    }
    documents[1].person_rate = Rate::NONE;
    assert_eq!(code(&documents), "value_out_of_range", "half of the stratum is never reviewed");
}

/// Documents of every kind, with every rate.
fn any_document() -> impl Strategy<Value = Scored> {
    let score = || (0..=4_u32).prop_map(|quarter| f64::from(quarter) / 4.0);
    let layers = prop_oneof![
        Just(Layers::Automatic),
        score().prop_map(|judge| Layers::Judged { judge }),
        (proptest::option::weighted(0.95, score()), score())
            .prop_map(|(judge, person)| Layers::Reviewed { judge, person }),
    ];
    (score(), layers, 1..=10_u32, 1..=10_u32).prop_map(|(automatic, layers, judge, person)| {
        let (judge_rate, person_rate) = (rate(f64::from(judge) / 10.0), rate(f64::from(person) / 10.0));
        Scored { automatic, layers, judge_rate, person_rate }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    /// Whatever the documents are, the interval is of scores, holds the estimate, grows with the
    /// confidence and does not depend on the order.
    #[test]
    fn an_interval_is_of_scores_and_holds_its_value(
        documents in proptest::collection::vec(any_document(), 0..120), cut in 0.0..1.0_f64,
        confidence in 0.1..0.99_f64,
    ) {
        let (left, right) = documents.split_at((documents.len() as f64 * cut) as usize);
        let of = |strata: &[&[Scored]], value: f64| figure(strata, Confidence::new(value).unwrap()).unwrap();
        let narrow = of(&[left, right], confidence);
        let wide = of(&[left, right], 0.5 + confidence / 2.0);
        prop_assert!(narrow.interval.low >= 0.0 && narrow.interval.high <= 1.0);
        prop_assert!(wide.interval.low <= narrow.interval.low && narrow.interval.high <= wide.interval.high);
        prop_assert!(narrow.value.is_none_or(|value| narrow.interval.contains(value)), "{narrow:?}");
        let mut turned = left.to_vec();
        turned.reverse();
        let turned = of(&[right, &turned], confidence);
        prop_assert!((turned.interval.low - narrow.interval.low).abs() < 1e-6, "{turned:?} {narrow:?}");
        prop_assert!((turned.interval.high - narrow.interval.high).abs() < 1e-6, "{turned:?} {narrow:?}");
    }
}
