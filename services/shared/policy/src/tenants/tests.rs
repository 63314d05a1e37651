#![allow(clippy::unwrap_used)]

use super::*;

const LOCAL: &str = include_str!("../../../../../infra/policy/local.toml");

fn with(section: &str) -> Result<Policy, crate::PolicyErrors> {
    Policy::parse(&format!("{LOCAL}\n{section}"))
}

#[test]
fn a_tenants_rules_are_its_own_or_the_others_or_the_defaults() {
    let policy = with("[tenants.acme]\nweight = 4\n[tenants.\"*\"]\ndocuments_per_minute = 60\n").unwrap();
    assert_eq!(policy.tenant("acme"), Tenant { weight: 4, documents_per_minute: None });
    assert_eq!(policy.tenant("other"), Tenant { weight: 1, documents_per_minute: Some(60) });
    assert_eq!(Policy::local().tenant("acme"), Tenant { weight: 1, documents_per_minute: None });
}

#[test]
fn every_problem_of_tenants_and_limits_is_told_with_its_place() {
    let broken = "[tenants.\"Big Corp\"]\nweight = 2\n[tenants.acme]\nweight = 0\n[tenants.zeta]\nweight = 101\ndocuments_per_minute = 0\n";
    let errors = with(broken).unwrap_err();
    assert_eq!(errors.lines().len(), 4, "{errors}");
    for part in [
        "tenants.Big Corp: the name must be a tenant's",
        "tenants.acme: weight 0 is not between 1 and 100",
        "tenants.zeta: weight 101",
        "tenants.zeta: documents_per_minute is 0",
    ] {
        assert!(errors.to_string().contains(part), "{part} is missing in:\n{errors}");
    }
    assert!(with("[tenants.acme]\nwieght = 2\n").unwrap_err().to_string().contains("wieght"));
}

#[test]
fn a_policy_without_tenants_and_limits_keeps_its_digest() {
    let policy = Policy::local();
    assert_eq!(policy.tiers[0].max_backlog, 1_000);
    let written = serde_json::to_string(&policy).unwrap();
    assert!(!written.contains("max_backlog") && !written.contains("tenants\":{"), "{written}");
    let unlimited = Policy::parse(&LOCAL.replace("share = 1.0", "share = 1.0\nmax_backlog = 0")).unwrap();
    assert_eq!(unlimited.tiers[0].max_backlog, 0);
    assert_ne!(policy.digest(), unlimited.digest());
}

/// How many documents a quota lets through in `minutes` when one comes every `every_ms`.
fn through(per_minute: u32, every_ms: i64, minutes: i64) -> u32 {
    let mut quota = Quota::new(per_minute, 0);
    let mut through = 0;
    for now_ms in (0..minutes * 60_000).step_by(usize::try_from(every_ms).unwrap()) {
        if quota.allows(per_minute, now_ms) {
            quota.take(1);
            through += 1;
        }
    }
    through
}

#[test]
fn a_quota_lets_through_its_rate_and_a_tenth_minute_at_once() {
    assert!((6_000..=6_060).contains(&through(600, 7, 10)), "{}", through(600, 7, 10));
    let mut quota = Quota::new(600, 0);
    let at_once = (0..1_000)
        .filter(|_| {
            quota.allows(600, 0) && {
                quota.take(1);
                true
            }
        })
        .count();
    assert_eq!(at_once, 60);
    assert_eq!(through(1, 1_000, 10), 10, "even the smallest quota lets its documents through");
}

/// Documents of sixty times the ordinary length: a sixtieth as many go in the long run.
#[test]
fn a_long_document_uses_up_as_much_of_a_quota_as_it_is_long() {
    let mut quota = Quota::new(600, 0);
    let mut through = 0;
    for now_ms in (0..600_000).step_by(100) {
        if quota.allows(600, now_ms) {
            quota.take(60);
            through += 1;
        }
    }
    assert!((100..=102).contains(&through), "{through}");
}

#[test]
fn a_clock_that_is_set_back_fills_no_bucket_twice() {
    let mut quota = Quota::new(10, 60_000);
    assert!(quota.allows(10, 60_000));
    quota.take(1);
    assert!(!quota.allows(10, 0));
    assert!(!quota.allows(10, 61_000), "a tenth of a minute's documents is one, and a second brings a sixth");
    assert!(quota.allows(10, 66_100));
}
