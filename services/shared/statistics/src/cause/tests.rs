//! Each cause planted, mixtures of them, and evidence that does not suffice.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use Certainty::{Confirmed, Likely, Possible};
use Reading::{Moved, Steady, Unknown};
use Version::{New, Old};

fn series(tier: &str, provider: &str, model: Version, prompt: Version, index: Reading) -> Series {
    Series { tier: tier.to_owned(), provider: provider.to_owned(), model, prompt, index }
}

fn canary(provider: &str, answers: Reading) -> Canary {
    Canary { provider: provider.to_owned(), answers }
}

/// Two tiers at two providers with old versions and quiet tests, one of whose indices fell.
fn one_fell() -> Evidence {
    Evidence {
        series: vec![series("mid", "east", Old, Old, Moved), series("small", "own", Old, Old, Steady)],
        canaries: vec![canary("east", Steady), canary("own", Steady)],
        judge: Judge {
            agreement_with_people: Steady,
            agreement_with_itself: Steady,
            canaries: Steady,
            without_judge: Moved,
        },
        input: Input { documents: Steady, instructions: Steady, index_at_baseline_mix: Moved },
    }
}

fn both_fell() -> Evidence {
    let mut evidence = one_fell();
    evidence.series[1].index = Moved;
    evidence
}

fn with(mut evidence: Evidence, change: impl FnOnce(&mut Evidence)) -> Evidence {
    change(&mut evidence);
    evidence
}

/// A row of the table.
type Planted = (&'static str, Evidence, Vec<(Cause, Certainty)>);

/// What is planted, the evidence it leaves, and what is to be named.
fn table() -> Vec<Planted> {
    vec![
        (
            "longer documents, and at the old mix nothing fell",
            with(both_fell(), |e| {
                e.input = Input { documents: Moved, instructions: Steady, index_at_baseline_mix: Steady }
            }),
            vec![(Cause::Input, Confirmed)],
        ),
        (
            "another kind of document within every stratum",
            with(both_fell(), |e| e.input.documents = Moved),
            vec![(Cause::Input, Likely)],
        ),
        (
            "inputs moved, but one tier alone fell at the old mix",
            with(one_fell(), |e| e.input.documents = Moved),
            vec![],
        ),
        (
            "a new prompt fell beside the old one",
            with(one_fell(), |e| {
                e.series = vec![series("mid", "east", Old, New, Moved), series("mid", "east", Old, Old, Steady)];
            }),
            vec![(Cause::Prompt, Confirmed)],
        ),
        ("a new prompt for everybody", with(one_fell(), |e| e.series[0].prompt = New), vec![(Cause::Prompt, Likely)]),
        (
            "publishers ask for something else",
            with(one_fell(), |e| e.input.instructions = Moved),
            vec![(Cause::Prompt, Likely)],
        ),
        (
            "a new model fell beside the old one",
            with(one_fell(), |e| {
                e.series = vec![series("small", "own", New, Old, Moved), series("small", "own", Old, Old, Steady)];
            }),
            vec![(Cause::Model, Confirmed)],
        ),
        (
            "a new model that the old one's fall excludes",
            with(one_fell(), |e| {
                e.series = vec![series("small", "own", New, Old, Moved), series("small", "own", Old, Old, Moved)];
            }),
            vec![],
        ),
        (
            "a new model, whose canaries differ of course",
            with(one_fell(), |e| {
                e.series = vec![series("mid", "east", New, Old, Moved), series("mid", "east", Old, Old, Steady)];
                e.canaries[0].answers = Moved;
            }),
            vec![(Cause::Model, Confirmed)],
        ),
        (
            "a provider that changed behind the same name",
            with(one_fell(), |e| e.canaries[0].answers = Moved),
            vec![(Cause::Provider, Confirmed)],
        ),
        (
            "a provider whose canaries were not asked",
            with(one_fell(), |e| e.canaries[0].answers = Unknown),
            vec![(Cause::Provider, Likely)],
        ),
        ("canaries of a provider whose quality stays", with(one_fell(), |e| e.canaries[1].answers = Moved), vec![]),
        (
            "a judge that became stricter",
            with(both_fell(), |e| e.judge = Judge { agreement_with_people: Moved, without_judge: Steady, ..e.judge }),
            vec![(Cause::Judge, Confirmed)],
        ),
        (
            "a judge that became stricter, while a new model and inputs did no harm",
            with(one_fell(), |e| {
                e.judge = Judge { canaries: Moved, without_judge: Steady, ..e.judge };
                e.series[0].model = New;
                e.input.documents = Moved;
            }),
            vec![(Cause::Judge, Confirmed)],
        ),
        (
            "a judge that agrees less, and nobody else to ask",
            with(both_fell(), |e| e.judge = Judge { agreement_with_itself: Moved, without_judge: Unknown, ..e.judge }),
            vec![(Cause::Judge, Likely)],
        ),
        (
            "judge and provider at once",
            with(one_fell(), |e| {
                e.judge.canaries = Moved;
                e.canaries[0].answers = Moved;
            }),
            vec![(Cause::Judge, Confirmed), (Cause::Provider, Confirmed)],
        ),
        (
            "model and prompt changed together",
            with(one_fell(), |e| e.series[0] = series("mid", "east", New, New, Moved)),
            vec![(Cause::Model, Possible), (Cause::Prompt, Possible)],
        ),
        (
            "model and prompt changed together, the model alone in another arm",
            with(one_fell(), |e| {
                e.series = vec![series("mid", "east", New, New, Moved), series("mid", "east", New, Old, Steady)];
            }),
            vec![(Cause::Prompt, Confirmed)],
        ),
        (
            "inputs and a new prompt, with nothing held fixed",
            with(both_fell(), |e| {
                e.series[0].prompt = New;
                e.input = Input { documents: Moved, instructions: Unknown, index_at_baseline_mix: Unknown };
            }),
            vec![(Cause::Prompt, Possible), (Cause::Input, Possible)],
        ),
        ("nothing else moved", both_fell(), vec![]),
        ("nothing is known", Evidence::default(), vec![]),
    ]
}

#[test]
fn planted_causes_are_named() {
    for (planted, evidence, causes) in table() {
        assert_eq!(diagnose(&evidence).causes, causes, "{planted}");
    }
}

#[test]
fn every_cause_is_planted_and_has_a_name() {
    for cause in Cause::ALL {
        let confirmed = table().into_iter().filter(|(_, _, causes)| *causes == [(cause, Confirmed)]).count();
        assert!(confirmed > 0, "{cause:?}");
        assert_eq!(serde_json::to_value(cause).unwrap(), cause.as_str());
        assert_eq!(Diagnosis { causes: vec![(cause, Likely)] }.name(), cause.as_str());
    }
    assert_eq!(diagnose(&Evidence::default()).name(), "unknown");
    let several = Diagnosis { causes: vec![(Cause::Model, Possible), (Cause::Prompt, Possible)] };
    assert_eq!(several.name(), "several");
}

fn reading() -> impl Strategy<Value = Reading> {
    prop_oneof![Just(Moved), Just(Steady), Just(Unknown)]
}

fn any_series() -> impl Strategy<Value = Series> {
    let version = || prop_oneof![Just(Old), Just(New)];
    ("[ab]", "[pq]", version(), version(), reading())
        .prop_map(|(tier, provider, model, prompt, index)| series(&tier, &provider, model, prompt, index))
}

fn evidence() -> impl Strategy<Value = Evidence> {
    let judge = [reading(), reading(), reading(), reading()];
    let canaries = ("[pq]", reading()).prop_map(|(provider, answers)| canary(&provider, answers));
    (
        proptest::collection::vec(any_series(), 0..6),
        proptest::collection::vec(canaries, 0..3),
        judge,
        [reading(), reading(), reading()],
    )
        .prop_map(|(series, canaries, judge, input)| {
            let [agreement_with_people, agreement_with_itself, canary, without_judge] = judge;
            let [documents, instructions, index_at_baseline_mix] = input;
            Evidence {
                series,
                canaries,
                judge: Judge { agreement_with_people, agreement_with_itself, canaries: canary, without_judge },
                input: Input { documents, instructions, index_at_baseline_mix },
            }
        })
}

proptest! {
    /// A cause is named once, never confirmed beside a possible one, and never without a test that
    /// moved; the order of series and canaries does not matter.
    #[test]
    fn causes_follow_from_what_moved(evidence in evidence()) {
        let found = diagnose(&evidence).causes;
        let mut names: Vec<_> = found.iter().map(|(cause, _)| *cause).collect();
        names.sort();
        names.dedup();
        prop_assert_eq!(names.len(), found.len());
        prop_assert!(found.windows(2).all(|pair| pair[0].1 == pair[1].1));
        prop_assert!(found.len() < 2 || found[0].1 != Likely);
        let fell = evidence.series.iter().any(|series| series.index == Moved);
        for (cause, _) in &found {
            let moved = match cause {
                Cause::Input => evidence.input.documents == Moved,
                Cause::Prompt => fell || evidence.input.instructions == Moved,
                Cause::Model | Cause::Provider => fell,
                Cause::Judge => evidence.judge_moved(),
            };
            prop_assert!(moved, "{cause:?}");
        }
        let mut turned = evidence;
        turned.series.reverse();
        turned.canaries.reverse();
        prop_assert_eq!(diagnose(&turned).causes, found);
    }
}
