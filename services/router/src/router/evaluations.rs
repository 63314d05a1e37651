//! Which tier judges a summary, or how an evaluation ends that no tier may take.

use precis_flow::Output;
use precis_pipeline::evaluation::{DECISION_REASON, Judgement, Subject};
use precis_pipeline::{EffectivePolicy, PipelineError, now_ms};
use precis_policy::{DocumentFacts, Eligibility, gate};
use precis_schemas::{Document, RoutedDocument, codes};
use precis_telemetry::metrics::Counter;

use super::{Router, work};
use crate::assign::{Measured, decision};

impl Router {
    /// Work for the judge that comes next; where there is none, the evaluation's end.
    pub(super) async fn to_judge(
        &self,
        effective: &EffectivePolicy,
        document: &Document,
        mut routed: RoutedDocument,
    ) -> Result<Output, PipelineError> {
        let facts = DocumentFacts::of(&routed.tenant, document).for_evaluation();
        let allowed = gate(&effective.policy, &effective.switches, &facts, &routed.trail);
        let request = routed.evaluation.clone().unwrap_or_default();
        let Some(judge) = effective.policy.next_judge(&allowed, &request) else {
            let message = message(&routed, &allowed);
            Counter::RouterDocuments.increment(&["none", codes::NO_JUDGE]);
            let judgement = Judgement::failed(None, codes::NO_JUDGE, &message, &[]);
            return self.end_evaluation(effective, document, &routed, judgement).await;
        };
        Counter::RouterDocuments.increment(&[judge, DECISION_REASON]);
        let mut decision = decision(effective, &allowed, &Measured::default());
        judge.clone_into(&mut decision.chosen);
        DECISION_REASON.clone_into(&mut decision.reason);
        judge.clone_into(&mut routed.tier);
        routed.decision = decision;
        routed.policy_digest.clone_from(&effective.digest);
        routed.routed_at = now_ms();
        work(&routed)
    }

    /// Ends an evaluation without a verdict.
    pub(super) async fn end_evaluation(
        &self,
        effective: &EffectivePolicy,
        document: &Document,
        routed: &RoutedDocument,
        judgement: Judgement<'_>,
    ) -> Result<Output, PipelineError> {
        let Some(subject) = Subject::of(routed) else {
            return Err(PipelineError::rejected(
                codes::WRONG_RECORD,
                "work without a tier that asks for no evaluation",
            ));
        };
        self.evaluations.settle_failed(&subject, document, effective, judgement).await
    }
}

/// Why nobody judges: what the judges of the policy said, or which rule keeps them from it.
fn message(routed: &RoutedDocument, allowed: &Eligibility) -> String {
    let refused = routed.trail.iter().map(|trial| format!("{} refused ({})", trial.tier, trial.code));
    let excluded = allowed
        .excluded
        .iter()
        .filter(|(tier, code)| code != codes::NOT_A_JUDGE && !routed.trail.iter().any(|trial| trial.tier == *tier))
        .map(|(tier, code)| format!("{tier} excluded ({code})"));
    let reasons: Vec<String> = refused.chain(excluded).collect();
    if reasons.is_empty() {
        "the policy names no judge".to_owned()
    } else {
        format!("no judge is left: {}", reasons.join("; "))
    }
}
