//! Two samples of every record: with everything set, and with everything left out that may be.
//!
//! `tests/golden/make.py` writes the same values with another Avro implementation; keep the two
//! alike.

use std::collections::BTreeMap;
use std::fmt::Debug;

use precis_schemas::*;

mod paid;

pub(crate) trait Sample: AvroRecord + PartialEq + Debug {
    fn full() -> Self;
    fn bare() -> Self;
}

/// Calls a generic function once for every record.
macro_rules! for_each_record {
    ($function:ident) => {
        $function::<precis_schemas::Answer>();
        $function::<precis_schemas::AuditRecord>();
        $function::<precis_schemas::DeadLetter>();
        $function::<precis_schemas::DeadLetterAction>();
        $function::<precis_schemas::Document>();
        $function::<precis_schemas::Escalation>();
        $function::<precis_schemas::Evaluation>();
        $function::<precis_schemas::LedgerAttempt>();
        $function::<precis_schemas::LedgerSettlement>();
        $function::<precis_schemas::Outcome>();
        $function::<precis_schemas::PolicyApplied>();
        $function::<precis_schemas::RoutedDocument>();
        $function::<precis_schemas::TierSwitch>();
    };
}
pub(crate) use for_each_record;

const AT: Millis = 1_764_000_000_123;

fn s(text: &str) -> String {
    text.to_owned()
}

fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

fn origin() -> Origin {
    Origin { topic: s("documents.acme"), partition: 7, offset: 9_876_543_210 }
}

fn body() -> BodyReference {
    BodyReference { key: s("bodies/acme/b1"), sha256: s("00ff"), size_bytes: 3_000_000_000 }
}

fn trial() -> Trial {
    Trial {
        tier: s("gpu"),
        result: TrialResult::Refused,
        code: s("switched_off"),
        answer_key: Some(s("cache/acme/a1")),
        failed_checks: vec![s("unsupported_numbers"), s("language")],
        policy_digest: s("p1"),
        at: AT,
    }
}

fn decision() -> Decision {
    Decision {
        eligible: vec![s("gpu"), s("api")],
        excluded: vec![Exclusion { tier: s("far"), reason: s("residency") }],
        features: BTreeMap::from([(s("tokens"), 812.0)]),
        score: 0.8125,
        thresholds: BTreeMap::from([(s("gpu"), 0.5)]),
        shadow_price: 0.25,
        chosen: s("gpu"),
        reason: s("score"),
        policy_digest: s("p1"),
        arm: s("b"),
    }
}

fn model() -> ModelIdentity {
    ModelIdentity {
        provider: s("local"),
        name: s("smollm2-135m-instruct"),
        revision: s("sha256:ab"),
        quantisation: s("q4_k_m"),
        adapter: Some(s("legal")),
        prompt_digest: s("d1"),
    }
}

fn checks() -> Vec<CheckResult> {
    vec![
        CheckResult { name: s("empty"), passed: true, value: None, detail: String::new() },
        CheckResult { name: s("unsupported_numbers"), passed: false, value: Some(-0.5), detail: s("1999") },
    ]
}

impl Sample for Document {
    fn full() -> Self {
        Self {
            document_id: s("contract-42 é 中 🦀"),
            revision: 3,
            submitted_at: AT,
            tenant: Some(s("acme")),
            deadline: Some(AT + 60_000),
            priority: -5,
            sensitivity: Some(Sensitivity::Confidential),
            residency: Some(s("eu")),
            subject_ids: vec![s("person-1"), s("")],
            document_type: s("contract"),
            critical: true,
            content_type: s("text/html"),
            language: Some(s("fr")),
            title: Some(s("Contrat")),
            text: Some(s("Le présent contrat…")),
            body: Some(body()),
            instruction: Some(s("obligations only")),
            max_words: Some(120),
            output_language: Some(s("en")),
            format: Format::Bullets,
            reference: Some(s("A contract.")),
            purpose: Purpose::Canary,
        }
    }

    fn bare() -> Self {
        Self::new("d", 0)
    }
}

impl Sample for RoutedDocument {
    fn full() -> Self {
        Self {
            tenant: s("acme"),
            document_id: s("d"),
            revision: 3,
            origin: origin(),
            request_digest: s("r1"),
            request_fingerprint: s("f1"),
            document: vec![0xC3, 0x01, 0, 255],
            tier: s("gpu"),
            decision: decision(),
            trail: vec![trial(), Trial { result: TrialResult::FailedChecks, ..trial() }],
            policy_digest: s("p1"),
            purpose: Purpose::Shadow,
            priority: 9,
            deadline: Some(AT),
            replay: true,
            routed_at: AT,
            evaluation: Some(EvaluationRequest { round: 2, probability: 0.125, provider: s("local"), model: s("m") }),
        }
    }

    fn bare() -> Self {
        Self {
            document: Vec::new(),
            decision: Decision {
                eligible: vec![],
                excluded: vec![],
                features: BTreeMap::new(),
                thresholds: BTreeMap::new(),
                shadow_price: 0.0,
                arm: String::new(),
                ..decision()
            },
            trail: vec![],
            purpose: Purpose::Production,
            priority: 0,
            deadline: None,
            replay: false,
            evaluation: None,
            ..Self::full()
        }
    }
}

impl Sample for Escalation {
    fn full() -> Self {
        Self { routed: vec![1, 2, 3], trial: trial() }
    }

    fn bare() -> Self {
        Self { routed: vec![], trial: Trial { answer_key: None, failed_checks: vec![], ..trial() } }
    }
}

fn scores() -> Scores {
    let all = |precision, recall, f| {
        let one = PrecisionRecall { precision, recall, f };
        Rouge { rouge1: one, rouge2: one, rouge_l: one, rouge_lsum: one }
    };
    Scores {
        source_rouge1: Some(1.0),
        source_rouge2: Some(0.5),
        source_rouge_l: Some(0.25),
        novelty1: Some(0.0),
        novelty2: Some(0.125),
        novelty3: None,
        length_ratio: Some(1.5),
        reference: Some(ReferenceScores {
            rouge: all(0.5, 0.25, 0.375),
            rouge_stemmed: all(1.0, 0.5, 0.75),
            unicode_rouge: all(0.0, 0.0, 0.0),
            bleu: 12.5,
            chrf: 62.5,
            exact_match: true,
        }),
    }
}

impl Sample for Answer {
    fn full() -> Self {
        Self {
            tenant: s("acme"),
            request_fingerprint: s("f1"),
            answer_fingerprint: s("a1"),
            text: s("A contract."),
            finish_reason: s("stop"),
            model: model(),
            input_tokens: 5_000_000_000,
            cached_input_tokens: 100,
            output_tokens: 70,
            chunks: 4,
            checks: checks(),
            accepted: true,
            cost: usd("0.00045"),
            price_digest: Some(s("pr1")),
            generation_ms: 1234,
            created_at: AT,
            subject_ids: vec![s("person-1")],
            scores: Some(Scores { reference: None, ..scores() }),
        }
    }

    fn bare() -> Self {
        Self {
            scores: None,
            model: ModelIdentity { revision: s(""), quantisation: s(""), adapter: None, ..model() },
            input_tokens: 0,
            cached_input_tokens: 0,
            output_tokens: 0,
            chunks: 1,
            checks: vec![],
            cost: Usd::ZERO,
            price_digest: None,
            generation_ms: 0,
            subject_ids: vec![],
            ..Self::full()
        }
    }
}

impl Sample for Outcome {
    fn full() -> Self {
        Self {
            tenant: s("acme"),
            document_id: s("d"),
            revision: 3,
            status: Status::Flagged,
            summary: Some(s("A contract.")),
            code: Some(s("unsupported_numbers")),
            message: Some(s("1 number is not in the source")),
            tier: Some(s("gpu")),
            model: Some(model()),
            language: Some(s("fr")),
            format: Format::Bullets,
            words_in: 900,
            words_out: 2,
            input_tokens: 1200,
            cached_input_tokens: 7,
            output_tokens: 5,
            chunks: 2,
            finish_reason: Some(s("stop")),
            checks: checks(),
            decision: Some(decision()),
            trail: vec![trial()],
            cost: usd("-12.5"),
            price_digest: Some(s("pr1")),
            cache: CacheLayer::Exact,
            purpose: Purpose::Evaluation,
            critical: true,
            document_type: s("contract"),
            subject_ids: vec![s("person-1")],
            origin: origin(),
            request_digest: s("r1"),
            request_fingerprint: s("f1"),
            answer_key: Some(s("cache/acme/a1")),
            policy_digest: s("p1"),
            submitted_at: AT,
            settled_at: AT + 1,
            generation_ms: 1234,
            scores: Some(scores()),
            quality_index: Some(0.75),
        }
    }

    fn bare() -> Self {
        Self {
            scores: None,
            quality_index: None,
            status: Status::Failed,
            summary: None,
            code: None,
            message: None,
            tier: None,
            model: None,
            language: None,
            format: Format::Paragraph,
            words_in: 0,
            words_out: 0,
            input_tokens: 0,
            cached_input_tokens: 0,
            output_tokens: 0,
            chunks: 0,
            finish_reason: None,
            checks: vec![],
            decision: None,
            trail: vec![],
            cost: Usd::ZERO,
            price_digest: None,
            cache: CacheLayer::None,
            purpose: Purpose::Production,
            critical: false,
            document_type: s(""),
            subject_ids: vec![],
            answer_key: None,
            generation_ms: 0,
            ..Self::full()
        }
    }
}

impl Sample for DeadLetter {
    fn full() -> Self {
        Self {
            id: s("router/documents.acme/7/12"),
            stage: s("router"),
            code: s("malformed_record"),
            message: s("it ends too early"),
            topic: s("documents.acme"),
            partition: 7,
            offset: 12,
            key: Some(vec![0]),
            value: Some(vec![255, 0, 128]),
            value_ref: Some(body()),
            headers: vec![
                RecordHeader { name: s("traceparent"), value: b"00-x".to_vec() },
                RecordHeader { name: s("traceparent"), value: vec![] },
            ],
            attempts: 3,
            tenant: Some(s("acme")),
            failed_at: AT,
        }
    }

    fn bare() -> Self {
        Self {
            message: s(""),
            key: None,
            value: None,
            value_ref: None,
            headers: vec![],
            attempts: 1,
            tenant: None,
            ..Self::full()
        }
    }
}

impl Sample for DeadLetterAction {
    fn full() -> Self {
        Self {
            id: s("router/documents.acme/7/12"),
            action: s("replayed"),
            by: s("ops"),
            at: AT,
            reason: s("fixed upstream"),
        }
    }

    fn bare() -> Self {
        Self { reason: s(""), ..Self::full() }
    }
}

impl Sample for AuditRecord {
    fn full() -> Self {
        Self {
            at: AT,
            by: s("ops"),
            action: s("tier_off"),
            target: s("tier/api"),
            before: s("on"),
            after: s("off"),
            reason: s("outage é"),
            details: BTreeMap::from([(s("count"), s("3"))]),
            host: s("host-1"),
            program: s("precis 0.1.0"),
        }
    }

    fn bare() -> Self {
        Self {
            before: s(""),
            after: s(""),
            reason: s(""),
            details: BTreeMap::new(),
            host: s(""),
            program: s(""),
            ..Self::full()
        }
    }
}

impl Sample for PolicyApplied {
    fn full() -> Self {
        Self { digest: s("p1"), toml: s("version = 1\n"), applied_by: s("ops"), applied_at: AT }
    }

    fn bare() -> Self {
        Self { toml: s(""), ..Self::full() }
    }
}

impl Sample for TierSwitch {
    fn full() -> Self {
        Self { tier: s("api"), state: SwitchState::Drain, reason: s("no_key"), by: s("api-worker"), at: AT }
    }

    fn bare() -> Self {
        Self { state: SwitchState::On, reason: s(""), ..Self::full() }
    }
}
