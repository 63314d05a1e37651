//! Budgets across any number of instances, without a coordinator.
//!
//! ```text
//!  reserve (upper bound, in every budget that applies)
//!     │ own slices cover it ──▶ Reservation ──leaves──▶ request ──▶ settle (what it came to)
//!     │ they do not                 │ dropped before: given back    │ dropped after: counts as spent
//!     ▼
//!  create slice n in the store, or learn whose it is and try n + 1 ── no money left ──▶ exhausted
//! ```
//!
//! Whoever creates `budgets/…/{n}` owns that slice and nobody else ever will: the store creates a
//! key once. Slice n is created only by one who has read slice n − 1, and begins where that ends,
//! so the slices of a window together are never more than its limit.
//!
//! **Guarantees.** What is billed in a window is over its limit by at most what requests in flight
//! are billed beyond their reservation. An instance that crashes or restarts leaves the rest of its
//! slices unspent. Without the store only slices already owned are spent.

pub mod account;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use precis_objects::{ObjectError, ObjectStore, Put, keys};
use precis_policy::{Budget, Window, budgets_for};
use precis_schemas::Usd;
use precis_telemetry::metrics::Gauge;
use time::OffsetDateTime;

use account::{Account, Slice};

/// No window is cut into more: the policy sees to that, but for slices that single large requests
/// need.
const MOST_SLICES: usize = 100_000;
const NANOS: f64 = 1e9;

/// All budgets, as one instance spends from them.
pub struct Budgets {
    store: Arc<dyn ObjectStore>,
    accounts: Mutex<HashMap<Scope, Arc<Shared>>>,
}

/// Whose money, and when.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Scope {
    tier: Option<String>,
    tenant: Option<String>,
    window: String,
}

struct Shared {
    state: Mutex<State>,
    /// One task at a time creates slices; whether it is known how many there are.
    taking: tokio::sync::Mutex<bool>,
}

struct State {
    account: Account,
    /// Name and limit of the budget, as the policy in force had them when it was last asked for.
    budget: String,
    limit: Usd,
}

/// Why nothing may be spent.
#[derive(Debug, thiserror::Error)]
pub enum BudgetError {
    /// The window's money is gone, or what is left does not cover the request.
    #[error("the budget {budget} has no room for a request of up to {amount}")]
    Exhausted {
        /// The budget's name.
        budget: String,
        /// What the request may cost.
        amount: Usd,
    },
    /// Nobody can tell what is left.
    #[error("no slice of a budget can be taken, so nothing is spent: {0}")]
    Store(#[from] ObjectError),
    /// The same: an object that is no slice.
    #[error("{key} is no slice of a budget; nothing is spent before it is one or gone")]
    Unreadable {
        /// The object.
        key: String,
    },
}

impl BudgetError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Exhausted { .. } => "budget_exhausted",
            Self::Store(_) => "budget_unavailable",
            Self::Unreadable { .. } => "budget_unreadable",
        }
    }
}

/// Money set aside for one request, in every budget that applies to it.
#[must_use]
pub struct Reservation {
    parts: Vec<Arc<Shared>>,
    amount: Usd,
    /// Whether the request may have left.
    left: bool,
}

impl Budgets {
    /// The budgets of a new instance.
    pub fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self { store, accounts: Mutex::default() }
    }

    /// Sets `amount` aside in each of the `budgets` that limit this tenant at this tier.
    ///
    /// # Errors
    /// See [`BudgetError`]; nothing is set aside then.
    pub async fn reserve(
        &self,
        budgets: &[Budget],
        tier: &str,
        tenant: &str,
        amount: Usd,
        now: OffsetDateTime,
    ) -> Result<Reservation, BudgetError> {
        let mut reservation = Reservation { parts: Vec::new(), amount, left: false };
        for budget in budgets_for(budgets, tier, tenant) {
            let scope = Scope {
                tier: budget.tier.clone(),
                tenant: budget.tenant_scope(tenant).map(str::to_owned),
                window: window(budget.window, now),
            };
            let shared = self.account(&scope, budget);
            while !shared.state().account.reserve(amount) {
                if let Err(error) = self.take(&scope, &shared, budget, amount).await {
                    self.show(budget);
                    return Err(error);
                }
            }
            reservation.parts.push(shared);
            self.show(budget);
        }
        Ok(reservation)
    }

    /// Creates slices until this instance's cover `amount`, if they do not already, thanks to
    /// another task.
    async fn take(&self, scope: &Scope, shared: &Shared, budget: &Budget, amount: Usd) -> Result<(), BudgetError> {
        let mut known = shared.taking.lock().await;
        if !*known {
            self.find_last(scope, shared).await?;
            *known = true;
        }
        loop {
            let wanted = {
                let state = shared.state();
                if state.account.covers(amount) {
                    return Ok(());
                }
                state.account.wanted(amount, budget.usd, budget.slice())
            };
            let Some((number, slice)) = wanted else {
                return Err(BudgetError::Exhausted { budget: budget.name.clone(), amount });
            };
            let key = scope.key(number);
            let bytes = serde_json::to_vec(&slice).map_err(|_| BudgetError::Unreadable { key: key.clone() })?;
            let slice = match self.store.put_if_absent(&key, bytes).await? {
                Put::Created => slice,
                // Somebody else's, or our own, from a create whose answer was lost.
                Put::Exists => self.read(&key).await?,
            };
            shared.state().account.learn(number, &slice);
        }
    }

    /// Learns how much of the window is taken already.
    async fn find_last(&self, scope: &Scope, shared: &Shared) -> Result<(), BudgetError> {
        let slices = self.store.list(&scope.prefix(), MOST_SLICES).await?;
        let Some(last) = slices.last() else { return Ok(()) };
        let number = account::number_of(&last.key).ok_or_else(|| BudgetError::Unreadable { key: last.key.clone() })?;
        let slice = self.read(&last.key).await?;
        shared.state().account.learn(number, &slice);
        Ok(())
    }

    async fn read(&self, key: &str) -> Result<Slice, BudgetError> {
        let bytes = self.store.get(key).await?;
        bytes.as_deref().and_then(Slice::read).ok_or_else(|| BudgetError::Unreadable { key: key.to_owned() })
    }

    fn account(&self, scope: &Scope, budget: &Budget) -> Arc<Shared> {
        let mut accounts = self.accounts();
        // Windows that are over go; requests of theirs that are still under way hold them
        // themselves.
        let is_over = |other: &Scope| other.window.len() == scope.window.len() && other.window < scope.window;
        accounts.retain(|other, _| !is_over(other));
        let shared = accounts.entry(scope.clone()).or_insert_with(|| Arc::new(Shared::new()));
        let mut state = shared.state();
        state.budget.clone_from(&budget.name);
        state.limit = budget.usd;
        drop(state);
        Arc::clone(shared)
    }

    /// Shows what is left of a budget; of one that each tenant has for itself, the least that any
    /// has.
    fn show(&self, budget: &Budget) {
        let accounts = self.accounts();
        let left = |shared: &Arc<Shared>| {
            let state = shared.state();
            (state.budget == budget.name).then(|| state.account.left(state.limit))
        };
        if let Some(least) = accounts.values().filter_map(left).min() {
            Gauge::BudgetLeftDollars.set(least as f64 / NANOS, &[&budget.name]);
            Gauge::BudgetLimitDollars.set(budget.usd.nanos() as f64 / NANOS, &[&budget.name]);
        }
    }

    fn accounts(&self) -> MutexGuard<'_, HashMap<Scope, Arc<Shared>>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn new() -> Self {
        // A name of its own for each account: one that is opened again must not take an older one's
        // slices for its own.
        let account = Account::new(&format!("{:032x}", rand::random::<u128>()));
        let state = State { account, budget: String::new(), limit: Usd::ZERO };
        Self { state: Mutex::new(state), taking: tokio::sync::Mutex::new(false) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Scope {
    fn key(&self, slice: u32) -> String {
        keys::budget_slice(self.tier.as_deref(), self.tenant.as_deref(), &self.window, slice)
    }

    fn prefix(&self) -> String {
        keys::budget_slices(self.tier.as_deref(), self.tenant.as_deref(), &self.window)
    }
}

impl Reservation {
    /// The request is about to leave: from now on it counts as spent unless it is settled.
    pub fn leaves(&mut self) {
        self.left = true;
    }

    /// Replaces the reservation by what it came to.
    pub fn settle(mut self, actual: Usd) {
        self.finish(actual);
    }

    fn finish(&mut self, actual: Usd) {
        for shared in self.parts.drain(..) {
            shared.state().account.settle(self.amount, actual);
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.finish(if self.left { self.amount } else { Usd::ZERO });
    }
}

/// The name of the window in which a moment lies.
fn window(of: Window, now: OffsetDateTime) -> String {
    let (year, month) = (now.year(), u8::from(now.month()));
    match of {
        Window::Day => format!("{year:04}-{month:02}-{:02}", now.day()),
        Window::Month => format!("{year:04}-{month:02}"),
    }
}

#[cfg(test)]
mod tests;
