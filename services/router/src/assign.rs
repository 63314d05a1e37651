//! Where a document starts: the mix's preference within the gate's limits.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use precis_pipeline::{EffectivePolicy, text_work};
use precis_policy::{BYTES_PER_TOKEN, Eligibility, Features, Mix, Policy, Targets, TextFacts, features, score};
use precis_quality::{is_plainly_english, language_of};
use precis_schemas::{Decision, Document, Exclusion, Trial, TrialResult, codes};
use precis_telemetry::metrics::{Counter, Gauge};

use crate::shares::RecentShares;

/// Feature under which the decision record keeps the score's rank among recent scores, 0 for the
/// hardest.
const RANK_FEATURE: &str = "rank";
/// Codes of refusals for lack of money.
const OUT_OF_MONEY_CODES: [&str; 2] = [codes::BUDGET_EXHAUSTED, codes::OUT_OF_MONEY];
/// How long a tier that refused a tenant's document for lack of money gets no other document of
/// that tenant that may go elsewhere, milliseconds. One document a minute is enough to notice that
/// there is money again.
const OUT_OF_MONEY_BACKOFF_MS: i64 = 60_000;
/// Interval at which the gauges are set.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// The router's state that decides first assignments: target mix, recent shares, tiers out of
/// money.
#[derive(Debug, Default)]
pub(crate) struct Assigner {
    targets: Targets,
    mix: Mix,
    shares: RecentShares,
    /// Tier and tenant → until when the tier counts as out of money, Unix milliseconds.
    out_of_money: BTreeMap<(String, String), i64>,
    reported: Option<Instant>,
}

/// A document that has been at no tier, and what its first assignment depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AssignInput<'a> {
    pub(crate) gate: &'a Eligibility,
    pub(crate) measured: &'a Measured,
    pub(crate) tenant: &'a str,
    pub(crate) document_id: &'a str,
    pub(crate) now_ms: i64,
}

impl Assigner {
    /// Sets the gauges, at most once an interval: they are scraped every few seconds.
    fn report(&mut self, effective: &EffectivePolicy) {
        if self.reported.is_some_and(|reported| reported.elapsed() < REPORT_INTERVAL) {
            return;
        }
        self.reported = Some(Instant::now());
        let policy = &*effective.policy;
        for (tier, target) in policy.tiers.iter().zip(self.targets.shares(policy)) {
            Gauge::RouterShare.set(self.shares.of(&tier.name), &[&tier.name]);
            Gauge::RouterTarget.set(*target, &[&tier.name]);
            let on = tier.enabled && effective.switches.get(&tier.name).is_none();
            Gauge::TierOn.set(f64::from(u8::from(on)), &[&tier.name]);
        }
        for (tier, price) in self.targets.prices() {
            Gauge::RouterShadowPrice.set(price, &[tier]);
        }
    }

    /// Chooses the tier of a document that has been at no tier. `None` if none is eligible; then
    /// nothing is counted.
    ///
    /// A tier without room (`has_room`) passes the document to the nearest cheaper one that has
    /// room. Without such a tier the document waits: a full topic is no reason to pay more than the
    /// mix says.
    pub(crate) fn first(
        &mut self,
        effective: &EffectivePolicy,
        input: &AssignInput<'_>,
        has_room: impl Fn(&str) -> bool,
    ) -> Option<Decision> {
        let AssignInput { gate, measured, tenant, document_id, now_ms } = *input;
        if gate.eligible.is_empty() {
            return None;
        }
        let policy = &*effective.policy;
        self.targets.track(policy, gate, measured.score, measured.tokens, now_ms);
        let targets = self.targets.shares(policy);
        let preference = self.mix.prefer(policy, targets, measured.score, document_id);
        let order: Vec<&str> = policy.tier_names().collect();
        let may = with_money(&self.out_of_money, &gate.eligible, tenant, now_ms);
        let (wanted, mut reason) = nearest(&order, &preference.tier, &may)?;
        let at = order.iter().position(|tier| *tier == wanted)?;
        let open = |tier: &&&str| may.contains(*tier) && has_room(tier);
        let chosen = order[..=at].iter().rev().find(open).copied().unwrap_or(wanted);
        let missed = |why: &str| Counter::RouterMixMisses.increment(&[&preference.tier, why]);
        if let Some((_, rule)) = gate.excluded.iter().find(|(tier, _)| *tier == preference.tier) {
            missed(rule);
        } else if !may.contains(&preference.tier.as_str()) {
            reason = "budget";
            missed(codes::BUDGET_EXHAUSTED);
        }
        if chosen != wanted {
            reason = "backlog";
            if wanted == preference.tier {
                missed("backlog_full");
            }
        }
        self.mix.assigned(policy, targets, chosen);
        self.shares.count(chosen);
        self.targets.assigned(chosen, measured.tokens);
        self.report(effective);
        let mut decision = decision(effective, gate, measured);
        if let Some((_, price)) = self.targets.prices().find(|(tier, _)| *tier == chosen) {
            decision.shadow_price = price;
        }
        decision.features.insert(RANK_FEATURE.to_owned(), preference.rank);
        decision.thresholds = preference.thresholds.into_iter().collect();
        chosen.clone_into(&mut decision.chosen);
        reason.clone_into(&mut decision.reason);
        Some(decision)
    }

    /// Records a tier's refusal: one for lack of money holds for the tenant's other documents, too.
    pub(crate) fn refused(&mut self, tenant: &str, trial: &Trial, now_ms: i64) {
        if trial.result == TrialResult::Refused && OUT_OF_MONEY_CODES.contains(&trial.code.as_str()) {
            self.out_of_money.retain(|_, until_ms| *until_ms > now_ms);
            self.out_of_money.insert((trial.tier.clone(), tenant.to_owned()), now_ms + OUT_OF_MONEY_BACKOFF_MS);
        }
    }

    /// Takes in how many more documents a tier's topic has room for; infinite for no limit.
    pub(crate) fn take_room(&mut self, policy: &Policy, tier: &str, documents: f64) {
        self.targets.take_room(policy, tier, documents);
    }
}

/// The eligible tiers that have money for the tenant; all of them where none has.
fn with_money<'a>(
    out_of_money: &BTreeMap<(String, String), i64>,
    eligible: &'a [String],
    tenant: &str,
    now_ms: i64,
) -> Vec<&'a str> {
    let all = eligible.iter().map(String::as_str);
    if out_of_money.is_empty() {
        return all.collect();
    }
    let has = |tier: &&str| {
        out_of_money.get(&((*tier).to_owned(), tenant.to_owned())).is_none_or(|until_ms| *until_ms <= now_ms)
    };
    let with: Vec<&str> = all.clone().filter(has).collect();
    if with.is_empty() { all.collect() } else { with }
}

/// A document's features and score.
#[derive(Debug, Clone, Default)]
pub(crate) struct Measured {
    pub(crate) features: Features,
    pub(crate) score: f64,
    /// Tokens of the text, estimated; used for rates.
    pub(crate) tokens: f64,
}

impl Measured {
    /// # Errors
    /// The text takes too long to read.
    pub(crate) async fn of(
        effective: &EffectivePolicy,
        document: &Document,
        text: &str,
    ) -> Result<Self, text_work::TimedOut> {
        let labelled = document.language.as_deref().and_then(|tag| tag.split('-').next()).map(str::to_ascii_lowercase);
        let features = text_work::on_text(text, 0, move |text| {
            let detected = || if is_plainly_english(text) { Some("en") } else { language_of(text) };
            let language = labelled.as_deref().or_else(detected);
            features(&TextFacts { text, language })
        });
        let features = features.await?;
        let score = score(&features, &effective.policy.score, &document.document_type);
        Ok(Self { features, score, tokens: text.len() as f64 / BYTES_PER_TOKEN as f64 })
    }
}

/// A decision record without a choice.
pub(crate) fn decision(effective: &EffectivePolicy, gate: &Eligibility, measured: &Measured) -> Decision {
    Decision {
        eligible: gate.eligible.clone(),
        excluded: gate
            .excluded
            .iter()
            .map(|(tier, reason)| Exclusion { tier: tier.clone(), reason: reason.clone() })
            .collect(),
        features: measured.features.clone(),
        score: measured.score,
        thresholds: BTreeMap::new(),
        shadow_price: 0.0,
        chosen: String::new(),
        reason: String::new(),
        policy_digest: effective.digest.clone(),
        arm: String::new(),
    }
}

/// The preferred tier if it is eligible, else the nearest cheaper one, else the nearest dearer one;
/// and the reason code.
fn nearest<'a>(order: &[&'a str], preferred: &str, eligible: &[&str]) -> Option<(&'a str, &'static str)> {
    let may = |tier: &&&str| eligible.contains(*tier);
    let at = order.iter().position(|tier| *tier == preferred)?;
    if may(&&order[at]) {
        return Some((order[at], "score"));
    }
    let reason = if eligible.len() == 1 { "only_eligible" } else { "fallback" };
    let cheaper = order[..at].iter().rev().find(may);
    cheaper.or_else(|| order[at..].iter().find(may)).map(|tier| (*tier, reason))
}

#[cfg(test)]
mod tests;
