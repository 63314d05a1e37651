//! Samples of what is paid for besides summaries: evaluations, and the ledger.

use super::*;

impl Sample for Evaluation {
    fn full() -> Self {
        Self {
            tenant: s("acme"),
            document_id: s("d"),
            revision: 3,
            round: 2,
            status: EvaluationStatus::Judged,
            code: Some(s("no_judge")),
            message: Some(s("no tier may judge it")),
            rubric: s("rubric.v1"),
            scores: Some(JudgeScores { faithfulness: 2, coverage: 3, coherence: 5, conciseness: 4, score: 0.625 }),
            unsupported_claims: vec![s("It ends in 1999.")],
            remark: s("Short."),
            judge_tier: Some(s("premium")),
            judge: Some(model()),
            same_model: true,
            probability: 0.125,
            outcome_status: Status::Flagged,
            tier: Some(s("gpu")),
            model: Some(model()),
            summary_sha256: s("00ff"),
            quality_index: Some(0.75),
            language: Some(s("fr")),
            critical: true,
            document_type: s("contract"),
            subject_ids: vec![s("person-1")],
            trail: vec![trial()],
            input_tokens: 1200,
            output_tokens: 80,
            cost: usd("-12.5"),
            price_digest: Some(s("pr1")),
            origin: origin(),
            request_digest: s("r1"),
            policy_digest: s("p1"),
            settled_at: AT,
        }
    }

    fn bare() -> Self {
        Self {
            status: EvaluationStatus::Failed,
            code: None,
            message: None,
            scores: None,
            unsupported_claims: vec![],
            remark: String::new(),
            judge_tier: None,
            judge: None,
            same_model: false,
            outcome_status: Status::Failed,
            tier: None,
            model: None,
            summary_sha256: String::new(),
            quality_index: None,
            language: None,
            critical: false,
            document_type: String::new(),
            subject_ids: vec![],
            trail: vec![],
            input_tokens: 0,
            output_tokens: 0,
            cost: Usd::ZERO,
            price_digest: None,
            ..Self::full()
        }
    }
}

impl Sample for LedgerAttempt {
    fn full() -> Self {
        Self {
            attempt_id: s("at1"),
            tenant: s("acme"),
            document_id: s("d"),
            revision: 3,
            tier: s("api"),
            provider: s("anthropic"),
            model: s("m"),
            reserved: Usd::MAX,
            price_digest: s("pr1"),
            at: AT,
            purpose: Purpose::Evaluation,
        }
    }

    fn bare() -> Self {
        Self { reserved: Usd::ZERO, purpose: Purpose::Production, ..Self::full() }
    }
}

impl Sample for LedgerSettlement {
    fn full() -> Self {
        Self {
            attempt_id: s("at1"),
            result: SettlementResult::Unknown,
            input_tokens: 1,
            cached_input_tokens: 2,
            output_tokens: 3,
            cost: usd("0.000000001"),
            price_digest: s("pr1"),
            provider_request_id: Some(s("req_1")),
            at: AT,
        }
    }

    fn bare() -> Self {
        Self {
            result: SettlementResult::Billed,
            input_tokens: 0,
            cached_input_tokens: 0,
            output_tokens: 0,
            cost: Usd::ZERO,
            provider_request_id: None,
            ..Self::full()
        }
    }
}
