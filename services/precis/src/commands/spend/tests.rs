#![allow(clippy::unwrap_used)]

use super::*;

fn groups() -> BTreeMap<Group, Totals> {
    let group = |day: &str, tier: &str, tenant: &str, billed: &str, open| {
        let purpose = if tier == "premium" { "evaluation" } else { "production" }.to_owned();
        let group = Group { day: day.to_owned(), tier: tier.to_owned(), tenant: tenant.to_owned(), purpose };
        (group, Totals { requests: 2, open, billed: billed.parse().unwrap(), ..Totals::default() })
    };
    BTreeMap::from([
        group("2026-11-23", "mid", "acme", "1", 0),
        group("2026-11-23", "mid", "other", "2", 1),
        group("2026-11-24", "mid", "acme", "4", 0),
        group("2026-11-24", "premium", "acme", "8", 0),
    ])
}

fn lines(by: &[GroupBy], since: &str) -> (Vec<String>, String) {
    let report = report(groups(), by, since);
    let line = |row: &SpendRow| format!("{}|{}|{} {} {}", row.day, row.tier, row.tenant, row.billed, row.open);
    (report.groups.iter().map(line).collect(), line(&report.total))
}

#[test]
fn rows_are_by_what_was_asked_for_and_add_up() {
    let (rows, total) = lines(&[GroupBy::Tier], "");
    assert_eq!(rows, ["|mid| $7.00 1", "|premium| $8.00 0"]);
    assert_eq!(total, "|| $15.00 1");
    assert_eq!(lines(&[GroupBy::Day, GroupBy::Tenant], "").0.len(), 3);
    let by_purpose = report(groups(), &[GroupBy::Purpose], "").groups;
    let shown: Vec<_> = by_purpose.iter().map(|row| (row.purpose.as_str(), row.billed.to_string())).collect();
    assert_eq!(shown, [("evaluation", "$8.00".to_owned()), ("production", "$7.00".to_owned())]);
}

#[test]
fn earlier_days_are_left_out() {
    let (rows, total) = lines(&[GroupBy::Day], "2026-11-24");
    assert_eq!((rows, total.as_str()), (vec!["2026-11-24|| $12.00 0".to_owned()], "|| $12.00 0"));
}
