#![allow(clippy::unwrap_used)]

use super::*;

fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

/// Takes the next slice for itself.
fn take(account: &mut Account, amount: &str, limit: &str) -> Option<Slice> {
    let (number, slice) = account.wanted(usd(amount), usd(limit), usd("1"))?;
    account.learn(number, &slice);
    Some(slice)
}

fn span(slice: &Slice) -> (Usd, Usd) {
    (slice.from, slice.upto)
}

#[test]
fn only_own_slices_are_spent() {
    let mut account = Account::new("us");
    assert!(!account.reserve(usd("0.1")));
    account.learn(0, &Slice { owner: "them".to_owned(), from: Usd::ZERO, upto: usd("1") });
    assert!(!account.reserve(usd("0.1")), "that slice is theirs");
    assert_eq!(span(&take(&mut account, "0.1", "10").unwrap()), (usd("1"), usd("2")));
    assert!(account.reserve(usd("0.6")));
    assert!(!account.reserve(usd("0.6")));
    account.settle(usd("0.6"), usd("0.2"));
    assert!(account.reserve(usd("0.6")), "what was not used is given back");
}

#[test]
fn a_slice_covers_the_request_and_ends_at_the_limit() {
    let mut account = Account::new("us");
    assert_eq!(span(&take(&mut account, "2.5", "4").unwrap()), (Usd::ZERO, usd("2.5")));
    assert!(account.reserve(usd("2.5")));
    assert_eq!(span(&take(&mut account, "1.2", "4").unwrap()), (usd("2.5"), usd("3.7")));
    assert!(account.reserve(usd("1.2")));
    assert_eq!(take(&mut account, "0.4", "4"), None, "0.3 are left");
    assert_eq!(span(&take(&mut account, "0.3", "4").unwrap()), (usd("3.7"), usd("4")));
    assert!(account.reserve(usd("0.3")));
    assert_eq!((take(&mut account, "0.000000001", "4"), account.left(usd("4"))), (None, 0));
}

#[test]
fn a_bill_above_its_reservation_is_paid_from_the_next_slice() {
    let mut account = Account::new("us");
    take(&mut account, "1", "4").unwrap();
    assert!(account.reserve(usd("1")));
    account.settle(usd("1"), usd("1.5"));
    assert_eq!(take(&mut account, "2.6", "4"), None, "3 are not taken, 0.5 of them are owed");
    assert_eq!(span(&take(&mut account, "2.5", "4").unwrap()), (usd("1"), usd("4")));
    assert!(account.reserve(usd("2.5")));
}

#[test]
fn another_limit_within_the_window_counts_what_was_taken_before() {
    let mut account = Account::new("us");
    take(&mut account, "1", "4").unwrap();
    take(&mut account, "2", "4").unwrap();
    assert_eq!(account.wanted(usd("3"), usd("2"), usd("1")), None, "it was lowered below what is gone");
    assert_eq!(
        account.wanted(usd("3"), usd("20"), usd("5")).map(|(number, slice)| (number, span(&slice))),
        Some((2, (usd("2"), usd("7"))))
    );
}

/// The last slice's key, then slices, one a line, as if each were the next.
#[test]
fn broken_slices_are_survived() {
    let slice = |owner: &str, from, upto| {
        serde_json::to_string(&Slice { owner: owner.to_owned(), from: usd(from), upto: usd(upto) }).unwrap()
    };
    let lines = ["budgets/mid/acme/2026-11/00000007", &slice("us", "0", "2"), &slice("them", "2", "4.5")];
    precis_fuzz::survives("slice", &[lines.join("\n").into_bytes()], |bytes| {
        let mut lines = bytes.split(|byte| *byte == b'\n');
        let key = lines.next().unwrap_or_default();
        let Some(number) = number_of(&String::from_utf8_lossy(key)) else { return };
        let mut account = Account::new("us");
        for (number, slice) in (number..u32::MAX).zip(lines.map_while(Slice::read)) {
            account.learn(number, &slice);
            // As `Budgets` does: a slice is taken only when own slices do not cover the amount.
            if !account.covers(usd("1"))
                && let Some((_, slice)) = account.wanted(usd("1"), usd("1000"), usd("2"))
            {
                assert!(slice.from <= slice.upto && slice.upto <= usd("1000"));
            }
            let _ = account.left(Usd::MAX);
        }
    });
}

#[test]
fn a_slice_below_zero_or_of_the_largest_number_is_unreadable() {
    assert_eq!(number_of("budgets/2026-11/00000007"), Some(7));
    assert_eq!(number_of("budgets/2026-11/4294967295"), None);
    assert!(Slice::read(br#"{ "owner": "us", "from": "0", "upto": "1" }"#).is_some());
    assert!(Slice::read(br#"{ "owner": "us", "from": "-1", "upto": "1" }"#).is_none());
    assert!(Slice::read(br#"{ "owner": "us", "from": "2", "upto": "1" }"#).is_none());
}
