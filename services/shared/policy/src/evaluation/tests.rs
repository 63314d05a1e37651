#![allow(clippy::unwrap_used)]

use precis_schemas::{CacheLayer, Document, Format, ModelIdentity, Origin, Purpose, Sensitivity, Usd};

use super::*;
use crate::{DocumentFacts, Switches, gate};

const MIX: &str = include_str!("../../../../../infra/policy/70-20-10.toml");

/// The mix with this section.
fn with_section(section: &str) -> Policy {
    Policy::parse(&format!("{MIX}\n{section}")).unwrap()
}

fn problems(section: &str) -> String {
    Policy::parse(&format!("{MIX}\n{section}")).unwrap_err().to_string()
}

fn outcome(id: usize) -> Outcome {
    Outcome {
        tenant: "acme".into(),
        document_id: id.to_string(),
        revision: 0,
        status: Status::Answered,
        summary: Some("A lease.".into()),
        code: None,
        message: None,
        tier: Some("gpu".into()),
        model: Some(ModelIdentity {
            provider: BUILT_IN_PROVIDER.into(),
            name: "smollm2".into(),
            revision: String::new(),
            quantisation: String::new(),
            adapter: None,
            prompt_digest: "d1".into(),
        }),
        language: Some("en".into()),
        format: Format::Paragraph,
        words_in: 0,
        words_out: 0,
        input_tokens: 0,
        cached_input_tokens: 0,
        output_tokens: 0,
        chunks: 1,
        finish_reason: None,
        checks: Vec::new(),
        decision: None,
        trail: Vec::new(),
        cost: Usd::ZERO,
        price_digest: None,
        cache: CacheLayer::None,
        purpose: Purpose::Production,
        critical: false,
        document_type: String::new(),
        subject_ids: Vec::new(),
        origin: Origin { topic: "documents.acme".into(), partition: 0, offset: 0 },
        request_digest: String::new(),
        request_fingerprint: String::new(),
        answer_key: None,
        policy_digest: String::new(),
        submitted_at: 0,
        settled_at: 0,
        generation_ms: 0,
        scores: None,
        quality_index: Some(0.9),
    }
}

fn requests(policy: &Policy, outcome: &Outcome) -> Vec<EvaluationRequest> {
    let place = policy.evaluation_place(&outcome.tenant, &outcome.document_id, outcome.revision);
    place.map_or_else(Vec::new, |place| policy.evaluation_requests(place, outcome))
}

/// How many of 10,000 such outcomes are judged once at least, and how many twice.
fn judged(policy: &Policy, change: impl Fn(Outcome) -> Outcome) -> (usize, usize) {
    let all: Vec<_> = (0..10_000).map(|id| requests(policy, &change(outcome(id))).len()).collect();
    (all.iter().filter(|count| **count > 0).count(), all.iter().filter(|count| **count == 2).count())
}

#[test]
fn nothing_is_judged_unless_a_judge_is_named() {
    assert_eq!(judged(&with_section(""), |outcome| outcome), (0, 0));
    assert_eq!(judged(&with_section("[evaluation]\nrate = 1.0"), |outcome| outcome), (0, 0));
    // A policy without the section has the digest that older builds compute.
    assert_eq!(with_section("").digest(), with_section("[evaluation]").digest());
}

#[test]
fn the_share_is_that_of_the_policy_and_uncertain_summaries_have_more() {
    let policy = with_section("[evaluation]\njudges = [\"premium\"]");
    let (usual, twice) = judged(&policy, |outcome| outcome);
    assert!((900..1_100).contains(&usual) && (25..80).contains(&twice), "{usual}, {twice}");
    let (low, _) = judged(&policy, |outcome| Outcome { quality_index: Some(0.5), ..outcome });
    let (flagged, _) = judged(&policy, |outcome| Outcome { status: Status::Flagged, ..outcome });
    assert!((2_800..3_200).contains(&low), "{low}");
    assert_eq!(low, flagged);
    assert_eq!(judged(&policy, |outcome| Outcome { summary: None, ..outcome }), (0, 0));
}

/// Whoever is judged at a small share is judged at a larger one, and a redelivery chooses the same.
#[test]
fn the_choice_is_a_function_of_the_identity_and_nested() {
    let small = with_section("[evaluation]\njudges = [\"premium\"]\nrate = 0.05");
    let large = with_section("[evaluation]\njudges = [\"premium\"]\nrate = 0.2");
    for id in 0..2_000 {
        let outcome = outcome(id);
        let first = requests(&small, &outcome);
        assert_eq!(first, requests(&small, &outcome));
        assert!(first.is_empty() || !requests(&large, &outcome).is_empty(), "{id}");
        for request in first {
            let expected = if request.round == 1 { 0.05 } else { 0.05 * 0.05 };
            assert!((request.probability - expected).abs() < 1e-12);
            assert_eq!((request.provider.as_str(), request.model.as_str()), (BUILT_IN_PROVIDER, "smollm2"));
        }
    }
}

#[test]
fn the_first_rate_that_names_a_summary_holds() {
    let policy = with_section(
        "[evaluation]\njudges = [\"premium\"]\nrate = 0.0\nrates = [\n\
         { type = \"contract\", critical = true, rate = 1.0 },\n\
         { type = \"contract\", rate = 0.5 },\n\
         { tier = \"gpu\", language = \"fr\", rate = 1.0 },\n\
         { model = \"other\", prompt = \"d1\", rate = 1.0 },\n]",
    );
    let (none, _) = judged(&policy, |outcome| outcome);
    let contract = |outcome| Outcome { document_type: "contract".into(), ..outcome };
    let (half, _) = judged(&policy, contract);
    let (all, _) = judged(&policy, |outcome| Outcome { critical: true, ..contract(outcome) });
    let (french, _) = judged(&policy, |outcome| Outcome { language: Some("fr".into()), ..outcome });
    let (other, _) = judged(&policy, |mut outcome| {
        outcome.model.as_mut().unwrap().name = "other".into();
        outcome
    });
    assert_eq!((none, all, french, other), (0, 10_000, 10_000, 10_000));
    assert!((4_800..5_200).contains(&half), "{half}");
    assert_eq!(policy.type_label("contract"), "contract");
}

#[test]
fn a_judge_of_another_provider_comes_first() {
    let judges = |names: &str| with_section(&format!("[evaluation]\njudges = [{names}]"));
    let public = Document { sensitivity: Some(Sensitivity::Public), ..Document::default() };
    let facts = DocumentFacts::of("acme", &public).for_evaluation();
    let request = |provider: &str, model: &str| EvaluationRequest {
        round: 1,
        probability: 0.1,
        provider: provider.into(),
        model: model.into(),
    };
    let chosen = |policy: &Policy, provider: &str, model: &str| {
        let allowed = gate(policy, &Switches::default(), &facts, &[]);
        policy.next_judge(&allowed, &request(provider, model)).map(str::to_owned)
    };
    let all = judges("\"gpu\", \"mid\", \"premium\"");
    let (mid, premium) = (all.tier("mid").unwrap().clone(), all.tier("premium").unwrap().clone());
    let (mid_provider, premium_provider) = (mid.provider.unwrap(), premium.provider.unwrap());
    assert_eq!(chosen(&all, &mid_provider, "x").as_deref(), Some("gpu"));
    assert_eq!(chosen(&all, BUILT_IN_PROVIDER, "smollm2").as_deref(), Some("mid"));
    // Its own kind, where nobody else is allowed; another model of it before the same.
    assert_eq!(chosen(&judges("\"gpu\""), BUILT_IN_PROVIDER, "smollm2").as_deref(), Some("gpu"));
    assert_eq!(chosen(&judges("\"premium\""), &premium_provider, &premium.model.unwrap()).as_deref(), Some("premium"));
    assert_eq!(chosen(&judges(""), BUILT_IN_PROVIDER, "smollm2"), None);
}

/// A restricted document is judged by a tier of one's own, or not at all.
#[test]
fn the_gate_holds_for_judges_too() {
    let policy = with_section("[evaluation]\njudges = [\"premium\", \"gpu\"]");
    let allowed = |policy: &Policy, sensitivity| {
        let facts = DocumentFacts::of("acme", &Document { sensitivity, ..Document::default() }).for_evaluation();
        gate(policy, &Switches::default(), &facts, &[])
    };
    assert_eq!(allowed(&policy, None).eligible, ["gpu"]);
    let public = allowed(&policy, Some(Sensitivity::Public));
    assert_eq!(public.eligible, ["gpu", "premium"]);
    assert_eq!(public.excluded, [("mid".to_owned(), "not_a_judge".to_owned())]);
    let only_premium = with_section("[evaluation]\njudges = [\"premium\"]");
    assert_eq!(allowed(&only_premium, None).eligible, Vec::<String>::new());
}

#[test]
fn a_tier_that_only_judges_takes_no_documents() {
    let judge = "[[tiers]]\nname = \"judge\"\nkind = \"gpu\"\nshare = 0.0\nmax_sensitivity = \"restricted\"\n\
                 evaluations_only = true\n";
    let policy = with_section(&format!("{judge}[evaluation]\njudges = [\"judge\"]"));
    let facts = DocumentFacts::of("acme", &Document::default());
    let excluded = gate(&policy, &Switches::default(), &facts, &[]).excluded;
    assert!(excluded.contains(&("judge".to_owned(), "evaluations_only".to_owned())), "{excluded:?}");
    let recheck = |facts: &DocumentFacts| crate::recheck(&policy, &Switches::default(), facts, "judge", TierKind::Gpu);
    assert_eq!(recheck(&facts), Err("evaluations_only"));
    assert_eq!(recheck(&facts.clone().for_evaluation()), Ok(()));
    assert!(problems(judge).contains("evaluation.judges does not name it"));
    assert!(problems(&judge.replace("0.0", "0.5")).contains("share is 0.5; set share = 0"));
}

#[test]
fn what_cannot_work_is_refused_with_what_to_do() {
    assert!(problems("[evaluation]\njudges = [\"judge\"]").contains("there is no tier \"judge\""));
    assert!(problems("[evaluation]\nrate = 10").contains("evaluation.rate: 10 is not between 0 and 1; 0.1 is 10 %"));
    assert!(problems("[evaluation]\nsecond_opinions = -1").contains("evaluation.second_opinions"));
    assert!(problems("[evaluation]\nrates = [{ rate = 2 }]").contains("evaluation.rates[0].rate"));
    assert!(problems("[evaluation]\nrates = [{ tier = \"x\", rate = 1 }]").contains("there is no such tier"));
    let extract = "[[tiers]]\nname = \"extract\"\nkind = \"extract\"\nshare = 0\n[evaluation]\njudges = [\"extract\"]";
    assert!(problems(extract).contains("has no model to judge with"));
}
