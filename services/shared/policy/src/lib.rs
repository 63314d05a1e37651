//! The routing policy: where a document may go, where it should go, and what that costs.
//!
//! Pure: no input or output, no clock, no randomness. The same values give the same decision, so a
//! decision record can be replayed.
//!
//! - [`Policy`]: the TOML file. It is checked whole: every problem is reported at once, each with
//!   what to do.
//! - [`gate`]: the hard rules, before any score. Nothing ever widens the gate; [`recheck`] applies
//!   the same rules for a worker that is about to act, and may only refuse.
//! - [`features`], [`score`]: how likely the first tier's answer is to pass its checks.
//! - [`Mix`]: holds the target shares over any 2,000 documents, whatever their scores.
//! - [`assign`]: the best assignment of a batch within the room of each tier, and the shadow price
//!   of that room. [`Targets`] uses it for shares that a rate does not allow, and for the exported
//!   shadow prices.
//! - [`TenantQueues`], [`Quota`]: which tenant's document goes next where tenants wait for a tier,
//!   and how many documents of one tenant may go in a minute.
//! - [`Quality`]: the weights that make one number of what was measured on a summary.
//! - [`Evaluation`]: which summaries an evaluator model judges, and which model does.
//! - [`next_tier`]: where a document goes after an answer failed or a tier refused.
//! - [`PriceTable`]: prices with date and source; an unknown price is an error, never zero.
//! - [`Budget`]: what may be spent at providers, by tier, tenant, day and month.
//!
//! **Invariant.** A document whose sensitivity is restricted, or that has none, reaches no tier of
//! kind `api`: the parser refuses a policy that says otherwise, and the gate checks again.

mod adapters;
mod assign;
mod budget;
mod decoding;
mod escalate;
mod evaluation;
mod features;
mod gate;
mod mix;
mod parse;
mod policy;
mod prices;
mod quality;
mod rollout;
mod score;
mod targets;
mod tenant_queues;
mod tenants;

pub use adapters::AdapterRule;
pub use assign::{Assignment, Offer, Room, assign};
pub use budget::{Budget, Window, budgets_for};
pub use decoding::{Decoding, DecodingRules, TypeDecoding};
pub use escalate::{DEADLINE_PASSED, Exhausted, hops, next_tier};
pub use evaluation::{BUILT_IN_PROVIDER, Evaluation, EvaluationPlace, EvaluationRate, second_opinion_place};
pub use features::{BYTES_PER_TOKEN, Features, TextFacts, features, score};
pub use gate::{DocumentFacts, Eligibility, SwitchState, Switches, TIER_CHANGED, gate, recheck};
pub use mix::{MIX_WINDOW, Mix, Preference};
pub use parse::PolicyErrors;
pub use policy::{Cache, Checks, Limits, OnExhausted, OnLate, Policy, Rollout, SensitivityName, Tier, TierKind};
pub use prices::{Price, PriceError, PriceTable, Tokens};
pub use quality::Quality;
pub use score::{Score, Weights};
pub use targets::Targets;
pub use tenant_queues::{Place, TenantQueues, cost_of};
pub use tenants::{Quota, Tenant};
