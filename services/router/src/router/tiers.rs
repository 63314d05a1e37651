//! What becomes of a document between tiers: work for the next one, an extract, or its end.

use precis_flow::Output;
use precis_pipeline::settle::{Claim, Draft};
use precis_pipeline::{EffectivePolicy, PipelineError, now_ms};
use precis_policy::{DocumentFacts, Exhausted, gate, next_tier};
use precis_schemas::{Decision, Document, RoutedDocument, Status, Trial, TrialResult};
use precis_telemetry::metrics::Counter;

use super::{Router, labels_of, work};
use crate::assign::{Measured, decision};
use crate::exhausted::{self, NoTier, Source};
use crate::extract::{Extract, NO_TIER};

impl Router {
    /// Work for the tier after the last trial; where there is none, the document's end.
    pub(super) async fn onward(
        &self,
        effective: &EffectivePolicy,
        document: &Document,
        mut routed: RoutedDocument,
        late: bool,
    ) -> Result<Output, PipelineError> {
        let facts = DocumentFacts::of(&routed.tenant, document);
        let allowed = gate(&effective.policy, &effective.switches, &facts, &routed.trail);
        let measured =
            Measured { features: routed.decision.features.clone(), score: routed.decision.score, tokens: 0.0 };
        let mut decision = decision(effective, &allowed, &measured);
        let next = if late { Err(Exhausted::Late) } else { next_tier(&effective.policy, &allowed, &routed.trail) };
        match next {
            Ok(tier) => {
                let refused = routed.trail.last().is_some_and(|trial| trial.result == TrialResult::Refused);
                let reason = if refused { "refusal" } else { "escalation" };
                Counter::RouterDocuments.increment(&[tier, reason]);
                tier.clone_into(&mut decision.chosen);
                reason.clone_into(&mut decision.reason);
                tier.clone_into(&mut routed.tier);
                routed.decision = decision;
                routed.policy_digest.clone_from(&effective.digest);
                routed.routed_at = now_ms();
                if effective.policy.is_extractive(&routed.tier) {
                    return self.by_extract(effective, document, routed).await;
                }
                work(&routed)
            }
            Err(why) => {
                let text = self.text_if_there(&routed.tenant, document).await?;
                let no_tier =
                    NoTier { fingerprint: &routed.request_fingerprint, trail: &routed.trail, allowed: &allowed, why };
                self.settle_without_tier(&Claim::of(&routed), effective, (document, &text), decision, no_tier).await
            }
        }
    }

    /// What becomes of a document at a tier of kind `extract`: settled with its extract, or on to
    /// another tier. The caller holds the bytes of its text.
    pub(super) async fn by_extract(
        &self,
        effective: &EffectivePolicy,
        document: &Document,
        mut routed: RoutedDocument,
    ) -> Result<Output, PipelineError> {
        let text = self.text_if_there(&routed.tenant, document).await?;
        let names = (routed.tenant.as_str(), routed.request_fingerprint.as_str(), routed.tier.as_str());
        let Extract { answer, failed, figures } = Extract::of(effective, names, document, &text).await;
        if failed.is_empty() {
            let draft = Draft::of(&routed, document, &text, now_ms()).measured(&figures);
            let mut outcome = draft.extracted(Some(&routed.tier), &answer, Status::Answered);
            outcome.cost = self.settler.spent_on(&routed.tenant, &routed.trail).await?;
            let labels = labels_of(effective, document, &text);
            return self.settler.settle_summary(&Claim::of(&routed), &outcome, &labels).await;
        }
        drop(text);
        routed.trail.push(Trial {
            tier: routed.tier.clone(),
            result: TrialResult::FailedChecks,
            code: failed[0].clone(),
            answer_key: None,
            failed_checks: failed,
            policy_digest: effective.digest.clone(),
            at: now_ms(),
        });
        // This tier counts as tried now, and a policy has one of its kind: this ends.
        Box::pin(self.onward(effective, document, routed, false)).await
    }

    /// Settles a document that no tier is left for, as the policy says.
    pub(super) async fn settle_without_tier(
        &self,
        claim: &Claim,
        effective: &EffectivePolicy,
        (document, text): (&Document, &str),
        mut decision: Decision,
        no_tier: NoTier<'_>,
    ) -> Result<Output, PipelineError> {
        let NoTier { fingerprint, trail, why, .. } = no_tier;
        Counter::RouterDocuments.increment(&["none", why.code()]);
        why.code().clone_into(&mut decision.reason);
        let extract = if effective.policy.extracts(why) {
            Some(Extract::of(effective, (&claim.identity.tenant, fingerprint, NO_TIER), document, text).await)
        } else {
            None
        };
        let draft = Draft::unrouted(claim, document, text, now_ms());
        let draft = draft.decided(fingerprint, &effective.digest, Some(decision), trail);
        let source = Source { document, text };
        let outcome = exhausted::outcome(&**self.settler.store(), effective, draft, &source, extract, &no_tier).await?;
        self.settler.settle_summary(claim, &outcome, &labels_of(effective, document, text)).await
    }
}
