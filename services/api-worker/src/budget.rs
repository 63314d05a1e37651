//! Budgets across any number of instances, without a coordinator.
//!
//! ```text
//!  reserve (upper bound, in every budget that applies)
//!     │ own slices cover it ──▶ Reservation ──leaves──▶ request ──▶ settle (real cost)
//!     │ they do not                 │ dropped before: given back    │ dropped after: counts as spent
//!     ▼
//!  create slice n in the store, or learn whose it is and try n + 1 ── no money left ──▶ exhausted
//! ```
//!
//! The instance that creates `budgets/…/{n}` owns that slice for good, since the store creates a
//! key once. An instance creates slice n only after it has read slice n − 1, and slice n begins
//! where slice n − 1 ends. So the slices of a window together never exceed its limit.
//!
//! **Guarantees.** A window's bill exceeds its limit by at most the amount that requests in flight
//! are billed beyond their reservation. An instance that crashes or restarts leaves the rest of its
//! slices unspent. Without the store only slices already owned are spent.

pub mod account;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use precis_base::lock::locked;
use precis_objects::{ObjectError, ObjectStore, Put, keys};
use precis_policy::{Budget, Window, budgets_for};
use precis_schemas::{Usd, codes};
use precis_telemetry::metrics::Gauge;
use time::OffsetDateTime;

use account::{Account, Slice};

/// Slices of a window that are listed at most. The policy allows fewer, except for slices that
/// single large requests need.
const MAX_SLICES: usize = 100_000;
const NANOS_PER_DOLLAR: f64 = 1e9;

/// All budgets, as one instance spends from them.
pub struct Budgets {
    store: Arc<dyn ObjectStore>,
    accounts: Mutex<HashMap<WindowScope, Arc<SharedAccount>>>,
}

/// Tier, tenant and window of a budget.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct WindowScope {
    tier: Option<String>,
    tenant: Option<String>,
    window: String,
}

struct SharedAccount {
    state: Mutex<AccountState>,
    /// Held by the task that creates slices. True once the number of existing slices is known.
    slices_known: tokio::sync::Mutex<bool>,
}

struct AccountState {
    account: Account,
    /// Name and limit of the budget, in the policy of the last reservation.
    budget: String,
    limit: Usd,
}

/// Why nothing may be spent.
#[derive(Debug, thiserror::Error)]
pub enum BudgetError {
    /// The window's money is gone, or the rest does not cover the request.
    #[error("the budget {budget} has no room for a request of up to {amount}")]
    Exhausted {
        /// The budget's name.
        budget: String,
        /// Upper bound of the request's cost.
        amount: Usd,
    },
    /// The store does not say what is left.
    #[error("no slice of a budget can be taken, so nothing is spent: {0}")]
    Store(#[from] ObjectError),
    /// An object is no slice, so nobody knows what is left.
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
            Self::Exhausted { .. } => codes::BUDGET_EXHAUSTED,
            Self::Store(_) => "budget_unavailable",
            Self::Unreadable { .. } => "budget_unreadable",
        }
    }
}

/// Money set aside for one request, in every budget that applies to it.
#[must_use]
pub struct Reservation {
    accounts: Vec<Arc<SharedAccount>>,
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
        let mut reservation = Reservation { accounts: Vec::new(), amount, left: false };
        for budget in budgets_for(budgets, tier, tenant) {
            let scope = WindowScope {
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
            reservation.accounts.push(shared);
            self.show(budget);
        }
        Ok(reservation)
    }

    /// Creates slices until this instance's slices cover `amount`. Another task may have done so
    /// already.
    async fn take(
        &self,
        scope: &WindowScope,
        shared: &SharedAccount,
        budget: &Budget,
        amount: Usd,
    ) -> Result<(), BudgetError> {
        let mut are_known = shared.slices_known.lock().await;
        if !*are_known {
            self.find_last(scope, shared).await?;
            *are_known = true;
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
                // Another instance's slice, or our own from a create whose answer was lost.
                Put::Exists => self.read(&key).await?,
            };
            shared.state().account.learn(number, &slice);
        }
    }

    /// Reads how much of the window is taken already.
    async fn find_last(&self, scope: &WindowScope, shared: &SharedAccount) -> Result<(), BudgetError> {
        let slices = self.store.list(&scope.prefix(), MAX_SLICES).await?;
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

    fn account(&self, scope: &WindowScope, budget: &Budget) -> Arc<SharedAccount> {
        let mut accounts = self.accounts();
        // Ended windows are dropped; requests in flight keep the accounts that they need.
        let is_over = |other: &WindowScope| other.window.len() == scope.window.len() && other.window < scope.window;
        accounts.retain(|other, _| !is_over(other));
        let shared = accounts.entry(scope.clone()).or_insert_with(|| Arc::new(SharedAccount::new()));
        let mut state = shared.state();
        state.budget.clone_from(&budget.name);
        state.limit = budget.usd;
        drop(state);
        Arc::clone(shared)
    }

    /// Shows what is left of a budget. Of a budget for each tenant, the smallest rest is shown.
    fn show(&self, budget: &Budget) {
        let accounts = self.accounts();
        let left = |shared: &Arc<SharedAccount>| {
            let state = shared.state();
            (state.budget == budget.name).then(|| state.account.left(state.limit))
        };
        if let Some(least) = accounts.values().filter_map(left).min() {
            Gauge::BudgetLeftDollars.set(least as f64 / NANOS_PER_DOLLAR, &[&budget.name]);
            Gauge::BudgetLimitDollars.set(budget.usd.nanos() as f64 / NANOS_PER_DOLLAR, &[&budget.name]);
        }
    }

    fn accounts(&self) -> MutexGuard<'_, HashMap<WindowScope, Arc<SharedAccount>>> {
        locked(&self.accounts)
    }
}

impl SharedAccount {
    fn new() -> Self {
        // A new name for each account: an account that is opened again must not take its
        // predecessor's slices for its own.
        let account = Account::new(&format!("{:032x}", rand::random::<u128>()));
        let state = AccountState { account, budget: String::new(), limit: Usd::ZERO };
        Self { state: Mutex::new(state), slices_known: tokio::sync::Mutex::new(false) }
    }

    fn state(&self) -> MutexGuard<'_, AccountState> {
        locked(&self.state)
    }
}

impl WindowScope {
    fn key(&self, slice: u32) -> String {
        keys::budget_slice(self.tier.as_deref(), self.tenant.as_deref(), &self.window, slice)
    }

    fn prefix(&self) -> String {
        keys::budget_slices(self.tier.as_deref(), self.tenant.as_deref(), &self.window)
    }
}

impl Reservation {
    /// Marks that the request leaves now. The amount then counts as spent unless it is settled.
    pub fn leaves(&mut self) {
        self.left = true;
    }

    /// Replaces the reservation by the real cost.
    pub fn settle(mut self, actual: Usd) {
        self.finish(actual);
    }

    fn finish(&mut self, actual: Usd) {
        for shared in self.accounts.drain(..) {
            shared.state().account.settle(self.amount, actual);
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.finish(if self.left { self.amount } else { Usd::ZERO });
    }
}

/// Name of the window that `now` lies in.
fn window(of: Window, now: OffsetDateTime) -> String {
    let (year, month) = (now.year(), u8::from(now.month()));
    match of {
        Window::Day => format!("{year:04}-{month:02}-{:02}", now.day()),
        Window::Month => format!("{year:04}-{month:02}"),
    }
}

#[cfg(test)]
mod tests;
