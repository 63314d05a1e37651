//! The figures that README and docs give are those of the sources.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use precis_policy::{Policy, PriceTable, Tokens};
use precis_router::RouterSettings;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// A page with every run of white space as one blank, so that sentences are found over line ends.
fn page(path: &str) -> String {
    let text = fs::read_to_string(root().join(path)).unwrap();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn states(path: &str, sentence: &str) {
    assert!(page(path).contains(sentence), "{path} does not say {sentence:?}");
}

fn policy() -> Policy {
    Policy::parse(&fs::read_to_string(root().join("infra/policy/70-20-10.toml")).unwrap()).unwrap()
}

#[test]
fn readme_counts_the_demos_documents() {
    let documents = fs::read_dir(root().join("tests/documents")).unwrap().count();
    states("README.md", &format!("the {documents} documents of tests/documents"));
}

#[test]
fn documents_give_the_defaults_of_the_code() {
    let policy = policy();
    let tier = &policy.tiers[0];
    let paid = policy.max_paid_requests(&tier.name);
    let waiting = tier.max_backlog;
    assert_eq!(waiting, 1000, "a default that the page writes with a comma");
    states("docs/concepts/routing.md", "| `max_backlog` of a tier (1,000; 0 for no limit)");
    states("docs/concepts/routing.md", &format!("| `max_paid_requests` of a tier ({paid})"));
    states("docs/guide/money.md", &format!("`max_paid_requests` of a tier ({paid})"));
    let in_process = RouterSettings::default().stage.max_in_flight;
    states("docs/concepts/routing.md", &format!("(`router.stage.max_in_flight`, {in_process})"));
}

/// 1,000 documents of 3,000 tokens with summaries of 300, at the shipped policy and prices.
#[test]
fn routings_worked_example_adds_up() {
    let (policy, prices) = (policy(), PriceTable::builtin());
    let tokens = Tokens { input: 3_000, output: 300, ..Tokens::default() };
    let cost = |name: &str| {
        let tier = policy.tier(name).unwrap();
        let price = prices.price(tier.provider.as_ref().unwrap(), tier.model.as_ref().unwrap()).unwrap();
        price.cost(tokens).unwrap().nanos()
    };
    let share = |name: &str| (policy.tier(name).unwrap().share * 1_000.0).round() as i64;
    let (mid, premium) = (share("mid"), share("premium"));
    let mixed = mid * cost("mid") + premium * cost("premium");
    let all_premium = 1_000 * cost("premium");
    let usd = |nanos: i64, digits: usize| format!("${:.digits$}", nanos as f64 / 1e9);
    states(
        "docs/concepts/routing.md",
        &format!(
            "that is {mid} × {} + {premium} × {} = {} where `premium` alone would be {}: {:.0} % less",
            usd(cost("mid"), 4),
            usd(cost("premium"), 3),
            usd(mixed, 2),
            usd(all_premium, 2),
            100.0 * (1.0 - mixed as f64 / all_premium as f64),
        ),
    );
}
