#![allow(clippy::unwrap_used)]

use super::*;
use crate::PolicyErrors;

const LOCAL: &str = include_str!("../../../../../infra/policy/local.toml");

/// A policy with these rules of decoding and no others.
fn with_rules(rules: &str) -> Result<Policy, PolicyErrors> {
    let tier = LOCAL.find("[[tiers]]").unwrap();
    Policy::parse(&format!("version = 1\n{rules}\n{}", &LOCAL[tier..]))
}

#[test]
fn a_type_has_rules_of_its_own() {
    let policy = with_rules(
        "[decoding.default]\nnames_from_source = true\n[decoding.types.poem]\nnumbers_from_source = false\nno_repeat_tokens = 0",
    )
    .unwrap();
    let letter = policy.decoding("letter").first();
    assert_eq!((letter.names_from_source, letter.numbers_from_source), (Some(true), None));
    let poem = policy.decoding("poem").first();
    assert_eq!((poem.names_from_source, poem.numbers_from_source, poem.no_repeat_tokens), (None, Some(false), Some(0)));
    assert_eq!(policy.decoding("poem").second(), None);
    assert_eq!(with_rules("").unwrap().decoding("").first(), DecodingRules::default());
}

#[test]
fn a_second_try_keeps_what_it_does_not_change() {
    let policy = with_rules(
        "[decoding.default]\nno_repeat_tokens = 6\nnames_from_source = false\nsecond_try = { names_from_source = true }",
    )
    .unwrap();
    let second = policy.decoding("").second().unwrap();
    assert_eq!((second.names_from_source, second.no_repeat_tokens), (Some(true), Some(6)));
}

#[test]
fn rules_that_cannot_hold_are_told() {
    for (rules, said) in [
        ("[decoding.default]\nno_repeat_tokens = 2", "decoding.default: no_repeat_tokens 2"),
        ("[decoding.types.a]\nsecond_try = { no_repeat_tokens = 1 }", "decoding.types.a: no_repeat_tokens 1"),
        ("[decoding.default]\nsecond_try = {}", "the second try has the rules of the first"),
        ("[decoding.default]\ntemperature = 1", "unknown field"),
    ] {
        let errors = with_rules(rules).unwrap_err().to_string();
        assert!(errors.contains(said), "{rules}: {errors}");
    }
}

/// Answers that were accepted under other rules are not served any more.
#[test]
fn other_rules_make_another_generation_of_the_cache() {
    let plain = with_rules("").unwrap().cache_generation();
    let ruled = with_rules("[decoding.default]\nnames_from_source = true").unwrap().cache_generation();
    assert_ne!(plain, ruled);
}
