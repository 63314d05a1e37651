#![allow(clippy::unwrap_used)]

use super::*;
use crate::policy::SensitivityName;

const LOCAL: &str = include_str!("../../../../../infra/policy/local.toml");
const MIX: &str = include_str!("../../../../../infra/policy/70-20-10.toml");

/// The local policy with these rules on its tier.
fn with_rules(rules: &str) -> Result<Policy, crate::PolicyErrors> {
    Policy::parse(&LOCAL.replace("name = \"gpu\"", &format!("name = \"gpu\"\nadapters = [{rules}]")))
}

fn facts(tenant: &str, document_type: &str) -> DocumentFacts {
    DocumentFacts {
        tenant: tenant.into(),
        document_id: "a".into(),
        document_type: document_type.into(),
        sensitivity: SensitivityName::Public,
        residency: None,
        purpose: precis_schemas::Purpose::Production,
    }
}

#[test]
fn the_first_rule_that_names_a_document_gives_its_adapter() {
    let policy = with_rules(
        r#"{ adapter = "acme-contracts", tenants = ["acme"], types = ["contract", "lease"] },
           { adapter = "contracts.v2", types = ["contract"] }, { adapter = "zenith", tenants = ["zenith"] }"#,
    )
    .unwrap();
    for (tenant, document_type, adapter) in [
        ("acme", "lease", Some("acme-contracts")),
        ("acme", "contract", Some("acme-contracts")),
        ("zenith", "contract", Some("contracts.v2")),
        ("zenith", "letter", Some("zenith")),
        ("acme", "letter", None),
        ("other", "", None),
    ] {
        assert_eq!(policy.adapter("gpu", &facts(tenant, document_type)), adapter, "{tenant}, {document_type}");
    }
    assert_eq!(policy.adapter("mid", &facts("acme", "lease")), None, "another tier");
    assert_eq!(Policy::parse(LOCAL).unwrap().adapter("gpu", &facts("acme", "lease")), None, "no rules");
}

#[test]
fn rules_that_cannot_hold_are_told() {
    for (rules, said) in [
        (r#"{ adapter = "../a" }"#, "is no adapter's name"),
        (r#"{ adapter = "" }"#, "is no adapter's name"),
        (r#"{ adapter = "a", types = [] }"#, "names no document"),
        (r#"{ adapter = "a" }, { adapter = "b", types = ["x"] }"#, "the rules after that for a have no effect"),
        (r#"{ adapter = "a", colour = "red" }"#, "unknown field"),
    ] {
        let errors = with_rules(rules).unwrap_err().to_string();
        assert!(errors.contains(said), "{rules}: {errors}");
    }
    let api = MIX.replace("name = \"mid\"", "name = \"mid\"\nadapters = [{ adapter = \"a\" }]");
    assert!(Policy::parse(&api).unwrap_err().to_string().contains("no effect on a tier of kind api"));
}

/// Answers of the exact cache were given with the rules of their time; policies without rules keep
/// their digest and generation.
#[test]
fn other_rules_are_another_policy_and_cache_generation() {
    let plain = Policy::parse(LOCAL).unwrap();
    let (first, second) = (with_rules(r#"{ adapter = "a" }"#).unwrap(), with_rules(r#"{ adapter = "b" }"#).unwrap());
    for (left, right) in [(&plain, &first), (&first, &second)] {
        assert_ne!(left.digest(), right.digest());
        assert_ne!(left.cache_generation(), right.cache_generation());
    }
    assert_eq!(with_rules("").unwrap().digest(), plain.digest());
    assert_eq!(with_rules("").unwrap().cache_generation(), plain.cache_generation());
}
