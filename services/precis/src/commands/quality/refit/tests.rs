#![allow(clippy::unwrap_used)]

use precis_policy::Policy;

use super::*;

const LOCAL: &str = include_str!("../../../../../../infra/policy/local.toml");

/// Weights that the labels of the tests follow.
const TRUE: [f64; 10] = [0.0, 0.0, 0.5, 0.3, 0.2, 0.0, 0.0, 0.0, 0.0, 0.0];

/// Labels that the true weights give, of summaries whose first seven parts vary.
fn labelled(document_type: &str, count: usize) -> Vec<(Measured, f64)> {
    let part =
        |number: usize, part: usize| (part < 7).then_some((number * (2 * part + 3) * 7919 % 1000) as f64 / 999.0);
    let measured = |number: usize| {
        let parts: [Option<f64>; 10] = std::array::from_fn(|position| part(number, position));
        let label = parts.iter().zip(TRUE).map(|(part, weight)| part.unwrap_or(0.0) * weight).sum();
        (Measured { document_type: document_type.to_owned(), parts: Some(parts) }, label)
    };
    (1..=count).map(measured).collect()
}

/// A type with enough labels gets its table, the others make the default, and the policy reads all.
#[test]
fn the_policy_takes_what_is_printed() {
    let types = ["contract", "letter of \"Évreux\"", ""].map(|name| labelled(name, 2 * MIN_LABELS));
    let mut examples = types.concat();
    examples.extend(labelled("rare", MIN_LABELS - 1));
    let tables = refit(&examples, &Quality::default()).unwrap();
    let counts: Vec<_> = tables.iter().map(|table| (table.document_type.as_deref(), table.labels)).collect();
    let own = 2 * MIN_LABELS;
    assert_eq!(counts, [(None, 299), (Some("contract"), own), (Some("letter of \"Évreux\""), own)]);
    assert!(tables.iter().all(|table| table.refitted && table.error_after < table.error_before), "{tables:?}");
    let policy = Policy::parse(&format!("{LOCAL}\n{}\n", toml(&tables))).unwrap();
    for name in ["contract", "letter of \"Évreux\"", "rare", ""] {
        for (found, expected) in policy.index_weights(name).by_name().into_iter().zip(TRUE) {
            assert!((found.1 - expected).abs() < 0.05, "{name}: {found:?} instead of {expected}");
        }
    }
}

/// A table that is in the policy stays where nothing better is known.
#[test]
fn tables_without_enough_labels_stay() {
    let in_use = IndexWeights { numbers: 2.0, ..IndexWeights::default() };
    let types = BTreeMap::from([("table".to_owned(), in_use.clone())]);
    let quality = Quality { types, ..Quality::default() };
    let tables = refit(&labelled("table", MIN_LABELS - 1), &quality).unwrap();
    assert!(tables.iter().all(|table| !table.refitted && table.error_before.is_none()), "{tables:?}");
    let text = toml(&tables);
    assert!(text.contains("# 99 labels; as in use: a fit needs 100 labels\n"), "{text}");
    let policy = Policy::parse(&format!("{LOCAL}\n{text}\n")).unwrap();
    assert_eq!(policy.index_weights("table"), &in_use);
    assert_eq!(policy.quality.default, IndexWeights::default());
}

#[test]
fn weights_that_are_no_better_stay() {
    let in_use = IndexWeights::of(TRUE);
    let quality = Quality { default: in_use.clone(), ..Quality::default() };
    let tables = refit(&labelled("", MIN_LABELS), &quality).unwrap();
    assert!(!tables[0].refitted && tables[0].error_before.is_some(), "{tables:?}");
    assert!(toml(&tables).contains("as in use: error 0.000, and new weights would have 0.000"), "{}", toml(&tables));
}
