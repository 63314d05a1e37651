//! A policy put in force, and how its tiers are shown.

use precis_flow::Log;
use precis_objects::ObjectStore;
use precis_pipeline::control::apply_policy;
use precis_pipeline::runtime::TopicSettings;
use precis_policy::{Policy, Tier, TierKind};

use super::operator::Operator;
use super::topics::create_work_topics;

/// Puts a policy in force everywhere, after the topics of its tiers were created. Returns its
/// digest.
///
/// # Errors
/// The log's and the store's.
pub async fn put_in_force(
    log: &dyn Log,
    store: &dyn ObjectStore,
    settings: &TopicSettings,
    (text, policy): (&str, &Policy),
    operator: &Operator,
) -> anyhow::Result<String> {
    create_work_topics(log, settings, policy, operator.actor()).await?;
    Ok(apply_policy(log, store, text, &operator.reason, &operator.by).await?)
}

/// The model of a tier, as provider/name.
pub fn model_of(tier: &Tier) -> String {
    match (&tier.provider, &tier.model) {
        (Some(provider), Some(model)) => format!("{provider}/{model}"),
        _ if tier.kind == TierKind::Extract => "none: sentences of the document".to_owned(),
        _ => "the built-in engine's".to_owned(),
    }
}
