//! What may be spent at providers: the policy's section and its rules. The api-worker accounts for
//! the spending.

use std::collections::BTreeSet;

use precis_schemas::Usd;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::parse::is_valid_name;
use crate::policy::{Policy, TierKind};

/// The tenant name that limits each tenant for itself.
const EACH_TENANT: &str = "*";
/// Slices of a window unless the budget sets their size: a crash or a restart leaves one slice
/// unspent.
const DEFAULT_SLICES: i64 = 1_000;
/// Most slices of a window, since each slice is one object in the store.
const MAX_SLICES: i64 = 10_000;

/// A limit on what may be spent in a window of time. A request must have room in every budget that
/// applies to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// The budget's name, in metrics and messages.
    pub name: String,
    /// How long the budget has to last: a calendar `day` or `month`, UTC.
    pub window: Window,
    /// The limit, US dollars.
    #[schemars(with = "String")]
    pub usd: Usd,
    /// The tier that the budget limits. Left out: all tiers together.
    #[serde(default)]
    pub tier: Option<String>,
    /// The tenant that the budget limits; `*`: each tenant for itself, except tenants with a budget
    /// of their own. Left out: all tenants together.
    #[serde(default)]
    pub tenant: Option<String>,
    /// The amount that an instance takes out of the window at a time, US dollars; a crash or a
    /// restart leaves it unspent. More than 0, at most the limit. Left out: a thousandth of the
    /// limit.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub slice_usd: Option<Usd>,
}

/// How long a budget has to last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// A day, UTC.
    Day,
    /// A calendar month, UTC.
    Month,
}

impl Budget {
    /// The tenant whose spending counts together when this tenant spends; `None`: all tenants'
    /// spending counts together.
    pub fn tenant_scope<'a>(&self, tenant: &'a str) -> Option<&'a str> {
        self.tenant.is_some().then_some(tenant)
    }

    /// The amount that is taken out of the window at a time.
    pub fn slice(&self) -> Usd {
        let thousandth = Usd::from_nanos((self.usd.nanos() / DEFAULT_SLICES).max(1));
        self.slice_usd.or(thousandth).unwrap_or(self.usd)
    }

    fn limits(&self, tier: &str, tenant: &str) -> bool {
        let is = |of: &Option<String>, value: &str| of.as_deref().is_none_or(|of| of == value || of == EACH_TENANT);
        is(&self.tier, tier) && is(&self.tenant, tenant)
    }

    /// Whether this budget replaces a general one: same tier and window, and it names the tenant.
    fn replaces(&self, general: &Self, tenant: &str) -> bool {
        self.tier == general.tier && self.window == general.window && self.tenant.as_deref() == Some(tenant)
    }
}

/// The budgets in which a request of this tenant at this tier must have room.
pub fn budgets_for<'a>(budgets: &'a [Budget], tier: &str, tenant: &str) -> Vec<&'a Budget> {
    budgets
        .iter()
        .filter(|budget| budget.limits(tier, tenant))
        .filter(|budget| {
            budget.tenant.as_deref() != Some(EACH_TENANT) || !budgets.iter().any(|other| other.replaces(budget, tenant))
        })
        .collect()
}

/// Adds the problems of a policy's budgets.
pub(crate) fn lint(policy: &Policy, problems: &mut Vec<String>) {
    let (mut names, mut scopes) = (BTreeSet::new(), BTreeSet::new());
    for budget in &policy.budgets {
        let mut problem = |text: String| problems.push(format!("budgets.{}: {text}", budget.name));
        if !is_valid_name(&budget.name) {
            problem("the name must be 1 to 64 of a-z, 0-9, - and _".to_owned());
        }
        if !names.insert(&budget.name) {
            problem("is listed twice; give each budget its own name".to_owned());
        }
        if !scopes.insert((&budget.tier, &budget.tenant, budget.window)) {
            problem("another budget has the same tier, tenant and window; keep one".to_owned());
        }
        if budget.usd.nanos() <= 0 {
            problem("usd must be more than 0; to spend nothing, set enabled = false at the tier".to_owned());
        }
        match budget.tier.as_deref().map(|name| (name, policy.tier(name))) {
            Some((name, None)) => problem(format!("there is no tier {name:?}; leave tier out for all of them")),
            Some((name, Some(tier))) if tier.kind == TierKind::Gpu => {
                problem(format!("the tier {name:?} is of kind gpu, which no provider bills; name a tier of kind api"));
            }
            _ => {}
        }
        if budget.tenant.as_deref().is_some_and(|tenant| tenant != EACH_TENANT && !is_valid_name(tenant)) {
            problem("tenant must be a tenant's name, or \"*\" for each of them".to_owned());
        }
        if budget.slice_usd.is_some_and(|slice| slice.nanos() <= 0 || slice > budget.usd) {
            problem("slice_usd must be more than 0 and at most usd".to_owned());
        } else if budget.usd.nanos() / budget.slice().nanos().max(1) > MAX_SLICES {
            problem(format!("slice_usd makes more than {MAX_SLICES} slices, each an object in the store; raise it"));
        }
    }
}

#[cfg(test)]
mod tests;
