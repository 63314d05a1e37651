#![allow(clippy::unwrap_used)]

use crate::{Policy, budgets_for};

const MIX: &str = include_str!("../../../../../infra/policy/70-20-10.toml");

fn with(budgets: &str) -> Result<Policy, String> {
    Policy::parse(&format!("{MIX}\n{budgets}")).map_err(|errors| errors.to_string())
}

fn budget(fields: &str) -> String {
    format!("[[budgets]]\n{fields}\n")
}

fn names<'a>(policy: &'a Policy, tier: &str, tenant: &str) -> Vec<&'a str> {
    budgets_for(&policy.budgets, tier, tenant).into_iter().map(|budget| budget.name.as_str()).collect()
}

/// A request must have room in every budget that names its tier and tenant, or names none.
#[test]
fn every_budget_of_its_tier_and_tenant_limits_a_request() {
    let policy = with(
        &[
            budget("name = \"all\"\nwindow = \"month\"\nusd = 5000"),
            budget("name = \"mid\"\nwindow = \"day\"\nusd = \"20\"\ntier = \"mid\""),
            budget("name = \"premium\"\nwindow = \"day\"\nusd = \"50.5\"\ntier = \"premium\""),
            budget("name = \"each\"\nwindow = \"day\"\nusd = \"5\"\ntenant = \"*\""),
            budget("name = \"acme\"\nwindow = \"day\"\nusd = \"9\"\ntenant = \"acme\""),
        ]
        .concat(),
    )
    .unwrap();
    assert_eq!(names(&policy, "mid", "other"), ["all", "mid", "each"]);
    assert_eq!(names(&policy, "premium", "acme"), ["all", "premium", "acme"], "its own replaces the one for each");
    assert_eq!(policy.budgets[3].tenant_scope("other"), Some("other"));
    assert_eq!(policy.budgets[0].tenant_scope("other"), None);
    assert_eq!(policy.budgets[1].slice(), "0.02".parse().unwrap());
}

#[test]
fn every_wrong_budget_is_told_with_what_to_do() {
    for (fields, part) in [
        ("name = \"b\"\nwindow = \"week\"\nusd = 1", "unknown variant `week`"),
        ("name = \"b\"\nwindow = \"day\"\nusd = 1\nmodel = \"m\"", "unknown field `model`"),
        ("name = \"B\"\nwindow = \"day\"\nusd = 1", "the name must be"),
        ("name = \"b\"\nwindow = \"day\"\nusd = 0", "usd must be more than 0"),
        ("name = \"b\"\nwindow = \"day\"\nusd = -1", "usd must be more than 0"),
        ("name = \"b\"\nwindow = \"day\"\nusd = 1\ntier = \"mud\"", "there is no tier \"mud\""),
        ("name = \"b\"\nwindow = \"day\"\nusd = 1\ntier = \"gpu\"", "is of kind gpu"),
        ("name = \"b\"\nwindow = \"day\"\nusd = 1\ntenant = \"A b\"", "tenant must be"),
        ("name = \"b\"\nwindow = \"day\"\nusd = 1\nslice_usd = 2", "slice_usd must be"),
        ("name = \"b\"\nwindow = \"day\"\nusd = 1\nslice_usd = \"0.00001\"", "more than 10000 slices"),
    ] {
        let problems = with(&budget(fields)).unwrap_err();
        assert!(problems.contains(part), "{part} is not in: {problems}");
    }
    let twice = budget("name = \"b\"\nwindow = \"day\"\nusd = 1").repeat(2);
    let problems = with(&twice).unwrap_err();
    assert!(problems.contains("its own name") && problems.contains("same tier, tenant and window"), "{problems}");
}

#[test]
fn a_policy_without_budgets_keeps_the_digest_that_it_had() {
    let policy = Policy::parse(MIX).unwrap();
    assert!(!serde_json::to_string(&policy).unwrap().contains("budgets"));
    assert_ne!(policy.digest(), with(&budget("name = \"b\"\nwindow = \"day\"\nusd = 1")).unwrap().digest());
}
