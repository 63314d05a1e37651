//! Totals of the ledger: what was spent, and what may have been.
//!
//! ```text
//!  billed  ≤  what the provider counts  ≤  billed + possibly billed
//! ```
//!
//! *Billed* is what providers reported. *Possibly billed* is the rest that may be on a bill: lost
//! answers, and attempts without a settlement (in flight now, or of a process that was killed),
//! each for up to its reserved amount.

use std::collections::{BTreeMap, HashMap};

use precis_flow::Record;
use precis_schemas::{CodecError, LedgerAttempt, LedgerSettlement, Millis, SettlementResult, Usd, codec};
use time::OffsetDateTime;

/// Reads a ledger, record by record.
#[derive(Debug, Default)]
pub struct Spend {
    /// By attempt id, so that a record that was written twice counts once.
    attempts: HashMap<String, Attempt>,
}

#[derive(Debug, Default)]
struct Attempt {
    of: Option<Group>,
    reserved: Usd,
    settlement: Option<LedgerSettlement>,
}

/// Key of the totals: day, tier, tenant and purpose.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// The day on which the request left, UTC, `YYYY-MM-DD`.
    pub day: String,
    /// Tier that sent the request.
    pub tier: String,
    /// The document's tenant.
    pub tenant: String,
    /// What the request was for: `production`, `evaluation`.
    pub purpose: String,
}

/// Sums over requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Requests that left, or were about to leave.
    pub requests: u64,
    /// Requests without a settlement.
    pub open: u64,
    /// Cost that providers reported.
    pub billed: Usd,
    /// Cost that may be on a bill beyond `billed`.
    pub possibly_billed: Usd,
    /// Tokens read, as providers reported them.
    pub input_tokens: u64,
    /// Tokens generated, as providers reported them.
    pub output_tokens: u64,
}

impl Spend {
    /// Takes a record of the topic.
    ///
    /// # Errors
    /// The codec's, also for a record of another schema than the ledger's.
    pub fn read(&mut self, record: &Record) -> Result<(), CodecError> {
        let value = record.value.as_deref().unwrap_or_default();
        let is = |schema: String| record.headers.get_str(codec::SCHEMA_HEADER) == Some(schema.as_str());
        if is(codec::schema_header::<LedgerSettlement>()) {
            self.settlement(codec::decode(value)?);
        } else {
            self.attempt(&codec::decode(value)?);
        }
        Ok(())
    }

    /// Takes an attempt.
    pub fn attempt(&mut self, attempt: &LedgerAttempt) {
        let entry = self.attempts.entry(attempt.attempt_id.clone()).or_default();
        entry.of = Some(Group {
            day: day(attempt.at),
            tier: attempt.tier.clone(),
            tenant: attempt.tenant.clone(),
            purpose: attempt.purpose.as_str().to_owned(),
        });
        entry.reserved = attempt.reserved;
    }

    /// Takes a settlement. A settlement whose attempt is not in the ledger any more counts for no
    /// tier and no tenant.
    pub fn settlement(&mut self, settlement: LedgerSettlement) {
        let attempt = self.attempts.entry(settlement.attempt_id.clone()).or_default();
        attempt.settlement = Some(settlement);
    }

    /// The totals of each group.
    pub fn groups(&self) -> BTreeMap<Group, Totals> {
        let mut groups = BTreeMap::<_, Totals>::new();
        for attempt in self.attempts.values() {
            let settled_on = || attempt.settlement.as_ref().map(|settlement| day(settlement.at)).unwrap_or_default();
            let group = attempt.of.clone().unwrap_or_else(|| Group { day: settled_on(), ..Group::default() });
            groups.entry(group).or_default().add(Totals::of(attempt));
        }
        groups
    }

    /// The totals over all groups.
    pub fn total(&self) -> Totals {
        let mut total = Totals::default();
        for attempt in self.attempts.values() {
            total.add(Totals::of(attempt));
        }
        total
    }
}

impl Totals {
    /// Adds another sum to this.
    pub fn add(&mut self, other: Self) {
        let money = |sum: Usd, amount: Usd| sum.checked_add(amount).unwrap_or(Usd::MAX);
        self.requests += other.requests;
        self.open += other.open;
        self.billed = money(self.billed, other.billed);
        self.possibly_billed = money(self.possibly_billed, other.possibly_billed);
        self.input_tokens = self.input_tokens.saturating_add(other.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(other.output_tokens);
    }

    fn of(attempt: &Attempt) -> Self {
        let one = Self { requests: 1, ..Self::default() };
        let Some(settlement) = &attempt.settlement else {
            return Self { open: 1, possibly_billed: attempt.reserved, ..one };
        };
        let (billed, possibly_billed) = match settlement.result {
            SettlementResult::Billed => (settlement.cost, Usd::ZERO),
            SettlementResult::Unknown => (Usd::ZERO, settlement.cost),
            SettlementResult::NotBilled => (Usd::ZERO, Usd::ZERO),
        };
        let tokens = |tokens: i64| u64::try_from(tokens).unwrap_or(0);
        let (input_tokens, output_tokens) = (tokens(settlement.input_tokens), tokens(settlement.output_tokens));
        Self { billed, possibly_billed, input_tokens, output_tokens, ..one }
    }
}

fn day(at: Millis) -> String {
    let nanos = i128::from(at) * 1_000_000;
    OffsetDateTime::from_unix_timestamp_nanos(nanos).map(|at| at.date().to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
