#![allow(clippy::unwrap_used, clippy::float_cmp)]

use precis_quality::IndexWeights;

use crate::Policy;

const LOCAL: &str = include_str!("../../../../../infra/policy/local.toml");

fn with(lines: &str) -> Result<Policy, String> {
    Policy::parse(&format!("{LOCAL}\n{lines}\n")).map_err(|errors| errors.to_string())
}

#[test]
fn each_type_has_its_weights_and_the_others_the_default() {
    let policy = with("[quality.default]\nlength = 0.5\n[quality.types.contract]\nnumbers = 2.0").unwrap();
    assert_eq!(policy.index_weights("contract").numbers, 2.0);
    assert_eq!(policy.index_weights("contract").length, IndexWeights::default().length);
    assert_eq!(policy.index_weights("letter").length, 0.5);
    assert_eq!(policy.index_weights(""), policy.index_weights("letter"));
}

/// Workers and routers of older builds compute the same digest of a policy without weights.
#[test]
fn a_policy_without_weights_keeps_its_digest() {
    let policy = with("").unwrap();
    let stated = with("[quality.default]\nwhole = 0.15").unwrap();
    assert!(!serde_json::to_string(&policy).unwrap().contains("quality"));
    assert_eq!(policy.digest(), stated.digest(), "what is stated is the default");
    let other = with("[quality.default]\nwhole = 0.2").unwrap();
    assert_ne!(policy.digest(), other.digest());
    assert_eq!(policy.cache_generation(), other.cache_generation(), "an answer is as good as it was");
}

#[test]
fn weights_that_make_no_index_are_told() {
    let errors = with("[quality.default]\nnumbers = -1.0\n[quality.types.table]\nnames = 1e9").unwrap_err();
    assert!(errors.contains("quality.default.numbers: -1 is not between 0 and 100"), "{errors}");
    assert!(errors.contains("quality.types.table.names"), "{errors}");
    let zero = "whole = 0\nlanguage = 0\ncoverage = 0\nnumbers = 0\nnames = 0\nrepetition = 0\nlength = 0";
    assert!(with(&format!("[quality.types.a]\n{zero}")).unwrap_err().contains("every weight is 0"));
    assert!(with("[quality.default]\nbeauty = 1.0").is_err());
    assert!(with("[quality.default]\nnames = nan").is_err());
}

/// Labels of metrics come from the operator's file alone.
#[test]
fn only_types_that_the_policy_names_are_labels() {
    let policy = with("[quality.types.contract]\n[checks.types.letter]\n[score.types.table]\nbias = 1.0\n").unwrap();
    for named in ["contract", "letter", "table"] {
        assert_eq!(policy.type_label(named), named);
    }
    assert_eq!(policy.type_label("invented"), "other");
    assert_eq!(policy.type_label(""), "none");
}

/// The page that explains the index states the weights of the code.
#[test]
fn the_documented_weights_are_the_defaults() {
    let page = include_str!("../../../../../docs/concepts/how-a-document-ends.md");
    for (name, weight) in IndexWeights::default().by_name() {
        let weight = if weight == 0.0 { "0".to_owned() } else { format!("{weight:.2}") };
        assert!(page.contains(&format!("| `{name}` | {weight} |")), "{name} is not {weight}");
    }
}
