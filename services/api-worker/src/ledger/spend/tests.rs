#![allow(clippy::unwrap_used)]

use precis_schemas::Purpose;

use super::*;

fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

fn attempt(id: &str, tier: &str, tenant: &str, at: i64) -> LedgerAttempt {
    LedgerAttempt {
        attempt_id: id.to_owned(),
        tenant: tenant.to_owned(),
        document_id: "d".to_owned(),
        revision: 0,
        tier: tier.to_owned(),
        provider: "openai".to_owned(),
        model: "m".to_owned(),
        reserved: usd("0.5"),
        price_digest: "p".to_owned(),
        at,
        purpose: Purpose::Production,
    }
}

fn settlement(id: &str, result: SettlementResult, cost: &str) -> LedgerSettlement {
    LedgerSettlement {
        attempt_id: id.to_owned(),
        result,
        input_tokens: 10,
        cached_input_tokens: 4,
        output_tokens: 2,
        cost: usd(cost),
        price_digest: "p".to_owned(),
        provider_request_id: None,
        at: DAY,
    }
}

const DAY: i64 = 86_400_000;

#[test]
fn what_is_billed_and_what_may_be_are_told_apart() {
    let mut spend = Spend::default();
    for id in ["billed", "refused", "lost", "open"] {
        spend.attempt(&attempt(id, "mid", "acme", 0));
    }
    spend.settlement(settlement("billed", SettlementResult::Billed, "0.2"));
    spend.settlement(settlement("refused", SettlementResult::NotBilled, "0"));
    spend.settlement(settlement("lost", SettlementResult::Unknown, "0.5"));
    let total = spend.total();
    assert_eq!((total.requests, total.open), (4, 1));
    assert_eq!((total.billed, total.possibly_billed), (usd("0.2"), usd("1")));
    assert_eq!((total.input_tokens, total.output_tokens), (30, 6));
}

/// The day is the one on which the request left.
#[test]
fn totals_are_by_day_tier_and_tenant() {
    let mut spend = Spend::default();
    for (id, tier, tenant, at) in [
        ("a", "mid", "acme", DAY - 1),
        ("b", "mid", "acme", DAY),
        ("c", "premium", "acme", 0),
        ("d", "mid", "other", 0),
    ] {
        spend.attempt(&attempt(id, tier, tenant, at));
        spend.settlement(settlement(id, SettlementResult::Billed, "1"));
    }
    spend.settlement(settlement("whose attempt is gone", SettlementResult::Billed, "1"));
    let groups: Vec<_> =
        spend.groups().into_keys().map(|group| [group.day, group.tier, group.tenant].join(" ")).collect();
    assert_eq!(
        groups,
        [
            "1970-01-01 mid acme",
            "1970-01-01 mid other",
            "1970-01-01 premium acme",
            "1970-01-02  ",
            "1970-01-02 mid acme"
        ]
    );
    assert_eq!(spend.total().billed, usd("5"));
}

#[test]
fn a_record_that_was_written_twice_counts_once() {
    let mut spend = Spend::default();
    for _ in 0..2 {
        spend.attempt(&attempt("a", "mid", "acme", 0));
        spend.settlement(settlement("a", SettlementResult::Billed, "1"));
        spend.attempt(&attempt("a", "mid", "acme", 0));
    }
    assert_eq!((spend.total().requests, spend.total().billed, spend.total().open), (1, usd("1"), 0));
}

/// Attempts and settlements in a row, each after its length in two bytes.
#[test]
fn broken_ledgers_are_survived() {
    let record = |bytes: Vec<u8>| [&(bytes.len() as u16).to_le_bytes()[..], &bytes].concat();
    let attempt = record(codec::encode(&attempt("a", "mid", "acme", DAY)).unwrap());
    let settlement = record(codec::encode(&settlement("a", SettlementResult::Billed, "0.2")).unwrap());
    precis_fuzz::survives("ledger", &[[attempt, settlement].concat()], |bytes| {
        let mut spend = Spend::default();
        let mut rest = bytes;
        while let Some((length, records)) = rest.split_first_chunk::<2>() {
            let (value, behind) = records.split_at(usize::from(u16::from_le_bytes(*length)).min(records.len()));
            rest = behind;
            for schema in [codec::schema_header::<LedgerAttempt>(), codec::schema_header::<LedgerSettlement>()] {
                let _ = spend.read(&Record {
                    topic: "ledger".into(),
                    partition: 0,
                    offset: 0,
                    timestamp_ms: 0,
                    key: None,
                    value: Some(value.to_vec()),
                    headers: precis_flow::Headers::new().with(codec::SCHEMA_HEADER, schema),
                });
            }
        }
        let total = spend.total();
        assert!(total.open <= total.requests);
        assert_eq!(spend.groups().values().map(|totals| totals.requests).sum::<u64>(), total.requests);
    });
}
