#![allow(clippy::unwrap_used)]

use std::collections::HashSet;

use super::*;
use crate::store::check_key;

/// Names that publishers really send, and stranger ones.
fn odd_names() -> Vec<String> {
    let mut names: Vec<String> = [
        "",
        "a",
        "A",
        "acme",
        "Acme",
        "acme-2",
        "acme.2",
        "acme_2",
        "acme/2",
        "..",
        ".",
        "/",
        "//",
        "-",
        "_",
        "~",
        "~unknown",
        "_2f",
        "a b",
        "a\0b",
        "a\nb",
        "document/with/slashes",
        "документ",
        "文書",
        "é",
        "e\u{301}",
        "r0",
        "%2F",
        "CON",
        "\u{202e}",
        "null",
    ]
    .map(str::to_owned)
    .to_vec();
    names.push("x".repeat(4096));
    names.push("x".repeat(4097));
    names.push("/".repeat(80));
    names.push("é".repeat(2048));
    names
}

fn every_key() -> Vec<String> {
    let names = odd_names();
    let mut keys = Vec::new();
    for first in &names {
        keys.extend([policy(first), prompt(first), dead_letter(Some(first), "ab"), dead_letter(None, first)]);
        keys.push(budget_slice(None, None, first, 0));
        for window in ["2026-11", "2026-11-24"] {
            keys.push(budget_slice(Some(first), None, window, 0));
            keys.push(budget_slice(None, Some(first), window, 0));
        }
        for second in &names {
            for revision in [0, 1, -1, i64::MAX] {
                keys.push(result(first, second, revision));
                keys.push(body(first, second, revision, "ab"));
                keys.push(format!("{}0", paid_requests_of(first, second, revision, "ab")));
            }
            for third in ["a", "b", "answers"] {
                keys.push(answer(first, second, third));
                keys.push(accepted(first, second, third));
                keys.push(partial(first, second, third, 7));
                keys.push(attempt(first, second, third));
            }
            for number in [0, 1, u32::MAX] {
                keys.push(budget_slice(Some(first), Some(second), "2026-11", number));
            }
        }
    }
    keys.push(ROUTING.to_owned());
    // The same dead letter without a tenant is one object, and every name made one.
    keys.sort();
    keys
}

#[test]
fn any_name_makes_a_valid_key() {
    for key in every_key() {
        check_key(&key).unwrap();
    }
}

/// Keys differ also on file systems that do not tell upper from lower case.
#[test]
fn different_inputs_make_different_keys() {
    let keys = every_key();
    let distinct: HashSet<String> = keys.iter().map(|key| key.to_ascii_lowercase()).collect();
    assert_eq!(distinct.len(), keys.len());
}

#[test]
fn no_key_is_a_directory_of_another() {
    let keys: HashSet<String> = every_key().into_iter().collect();
    for key in &keys {
        for (at, _) in key.match_indices('/') {
            assert!(!keys.contains(&key[..at]), "{key} lies under another key");
        }
    }
}

#[test]
fn a_tenant_prefix_covers_that_tenant_and_no_other() {
    let key = result("acme-2", "d", 0);
    assert!(key.starts_with(&results_of("acme-2")));
    assert!(!key.starts_with(&results_of("acme")));
    assert!(body("acme", "d", 0, "ab").starts_with(&bodies_of("acme")));
    assert!(answer("acme", "ab", "cd").starts_with(&cache_of("acme")));
    assert!(partial("acme", "ab", "cd", 7).starts_with(&partials_of("acme", "ab", "cd")));
    assert!(!partial("acme", "ab", "cd7", 7).starts_with(&partials_of("acme", "ab", "cd")));
}

/// Keys are found again by later versions: a changed layout loses every result.
#[test]
fn the_layout_is_stable() {
    let id = "18ac3e7343f016890c510e93f935261169d9e3f565436429830faf0934f4f8e4";
    assert_eq!(hash("d"), id);
    assert_eq!(result("Acme", "d", 3), format!("results/_41cme/18/{id}.r3"));
    assert_eq!(answer("acme", "ff00", "a1"), "cache/acme/ff/ff00.answer.a1");
    assert_eq!(accepted("acme", "ff00", "1"), "cache/acme/ff/ff00.accepted.1");
    assert_eq!(partial("acme", "ff00", "a1", 2), "cache/acme/ff/ff00.partial.a1.2");
    assert_eq!(body("acme", "d", 0, "ab12"), format!("bodies/acme/18/{id}.r0.ab12"));
    assert_eq!(dead_letter(None, "ab12"), "dead-letters/~unknown/ab/ab12");
    assert!(is_dead_letter(&dead_letter(Some("acme"), "ab12")) && !is_dead_letter(&result("acme", "a", 0)));
    assert_eq!(attempt("gpu", "ab12", "process"), "attempts/gpu/ab/ab12.process");
    assert_eq!(paid_requests_of("acme", "d", 0, "ab12"), format!("requests/acme/18/{id}.r0.ab12."));
    assert_eq!(policy("ab12"), "policies/ab12");
    assert_eq!(prompt("ab12"), "prompts/ab12");
    assert_eq!(budget_slice(Some("mid"), None, "2026-11-24", 7), "budgets/tier=mid.tenant=~/2026-11-24/000007");
}
