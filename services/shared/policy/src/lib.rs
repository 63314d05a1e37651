//! The routing policy: what may go where, what should go where, and what it costs. Pure: no input
//! or output, no clock, no randomness; the same values give the same decision, so that a decision
//! record can be replayed.
//!
//! - [`Policy`]: the TOML file, checked whole: every problem at once, each with what to do.
//! - [`gate`]: the hard rules, before any score. Nothing ever widens what it allows; [`recheck`]
//!   asks the same of a worker that is about to act, and may only refuse.
//! - [`features`], [`score`]: how likely the first tier's answer is to pass its checks.
//! - [`Mix`]: holds the target shares over any 2,000 documents, whatever the scores look like.
//! - [`assign`]: the best assignment of a batch within what tiers have room for, and what that room
//!   is worth. [`Targets`] asks it, for shares that a rate does not allow and for the shadow
//!   prices.
//! - [`Lanes`], [`Quota`]: whose document goes next where tenants wait for a tier, and how many of
//!   one may in a minute.
//! - [`next_tier`]: where a document goes after an answer failed or a tier refused.
//! - [`PriceTable`]: prices with date and source; an unknown price is an error, never zero.
//! - [`Budget`]: what may be spent at providers, by tier, tenant, day and month.
//!
//! **Invariant.** A document whose sensitivity is restricted, or that has none, reaches no tier of
//! kind `api`: the parser refuses a policy that says otherwise, and the gate asks again.

mod assign;
mod budget;
mod escalate;
mod features;
mod gate;
mod lanes;
mod mix;
mod parse;
mod policy;
mod prices;
mod rollout;
mod targets;
mod tenants;

pub use assign::{Assignment, Offer, Room, assign};
pub use budget::{Budget, Window, budgets_for};
pub use escalate::{DEADLINE_PASSED, Exhausted, hops, next_tier};
pub use features::{Features, TextFacts, features, score};
pub use gate::{DocumentFacts, Eligibility, SwitchState, Switches, TIER_CHANGED, gate, recheck};
pub use lanes::{Lanes, Place};
pub use mix::{Mix, Preference};
pub use parse::PolicyErrors;
pub use policy::{
    Cache, Checks, Limits, OnExhausted, OnLate, Policy, Rollout, Score, SensitivityName, Tier, TierKind, Weights,
};
pub use prices::{Price, PriceError, PriceTable, Tokens};
pub use targets::Targets;
pub use tenants::{Quota, Tenant};
