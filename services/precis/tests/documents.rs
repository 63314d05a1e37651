//! What the documents say of the sources holds: links, names of tests, sizes, words.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Every file below the root with one of the endings; build output and other people's texts left
/// out.
fn files(endings: &[&str]) -> Vec<(String, String)> {
    let root = root();
    let mut folders = vec![root.clone()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let below = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            let left_out = ["target", ".git", "LICENSES", "demo-out", "tests/documents", "tests/fuzz/corpus"];
            if path.is_dir() && !left_out.contains(&below.as_str()) {
                folders.push(path);
            } else if endings.iter().any(|ending| below.ends_with(ending))
                && let Ok(text) = fs::read_to_string(&path)
            {
                found.push((below, text));
            }
        }
    }
    found.sort();
    found
}

/// The anchors that GitHub gives the headings of a page.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

/// The targets of Markdown links outside of code.
fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut code = false;
    for line in text.lines() {
        code ^= line.trim_start().starts_with("```");
        let mut rest = if code { "" } else { line };
        while let Some(at) = rest.find("](") {
            rest = &rest[at + 2..];
            let end = rest.find(')').unwrap_or(rest.len());
            found.push(rest[..end].to_owned());
            rest = &rest[end..];
        }
    }
    found
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    let mut broken = Vec::new();
    for (page, text) in files(&[".md"]) {
        for link in links(&text) {
            let outside = ["http://", "https://", "mailto:"].iter().any(|scheme| link.starts_with(scheme));
            if outside || page.starts_with(".github/") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let own = root().join(&page);
            let target = if file.is_empty() { own.clone() } else { own.parent().unwrap().join(file) };
            let known = || anchors(&fs::read_to_string(&target).unwrap_or_default()).contains(anchor);
            if !target.exists() || !(anchor.is_empty() || known()) {
                broken.push(format!("{page}: {link}"));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_page_of_docs_can_be_reached_from_the_index() {
    let root = root();
    let mut reached = BTreeSet::new();
    let mut next = vec![root.join("docs/index.md"), root.join("README.md")];
    while let Some(page) = next.pop() {
        let Ok(page) = page.canonicalize() else { continue };
        if page.extension().is_some_and(|ending| ending == "md") && reached.insert(page.clone()) {
            let text = fs::read_to_string(&page).unwrap();
            let folder = page.parent().unwrap().to_owned();
            next.extend(links(&text).iter().map(|link| folder.join(link.split('#').next().unwrap())));
        }
    }
    let lost: Vec<_> = files(&[".md"])
        .into_iter()
        .map(|(page, _)| page)
        .filter(|page| page.starts_with("docs/") && !reached.contains(&root.join(page)))
        .collect();
    assert!(lost.is_empty(), "no link leads to {lost:?}");
}

#[test]
fn readme_and_architecture_fit_their_readers() {
    for page in ["README.md", "ARCHITECTURE.md"] {
        let bytes = fs::metadata(root().join(page)).unwrap().len();
        assert!(bytes <= 9_000, "{page} has {bytes} bytes; 9,000 are read in one sitting");
    }
}

#[test]
fn every_guard_of_an_invariant_exists() {
    let page = fs::read_to_string(root().join("docs/develop/invariants.md")).unwrap();
    let sources: String = files(&[".rs", ".py"]).into_iter().map(|(_, text)| text).collect();
    let named = page.split('`').skip(1).step_by(2);
    let mut missing = Vec::new();
    for name in named {
        let is_test = name.matches('_').count() >= 2 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let is_path = name.contains('/') && !name.contains(' ');
        let there = (is_path && (root().join(name).exists() || name.contains('<')))
            || (is_test && (sources.contains(&format!("fn {name}(")) || sources.contains(&format!("def {name}("))))
            || (!is_test && !is_path);
        if !there {
            missing.push(name);
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_make_target_that_a_document_names_exists() {
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    for (page, text) in files(&[".md"]) {
        for name in text.split("`make ").skip(1).map(|rest| rest.split(['`', ' ']).next().unwrap()) {
            assert!(makefile.contains(&format!("\n{name}:")), "{page} names `make {name}`");
        }
    }
}

/// Literals that a source gives as codes: what `fn code` returns, and what a fault or rejection is
/// made of.
fn codes_of(text: &str) -> BTreeSet<String> {
    let word = |rest: &str| {
        let literal = rest.trim_start().strip_prefix('"')?.split('"').next()?;
        let is_code = literal.contains('_') && literal.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c == '8');
        is_code.then(|| literal.to_owned())
    };
    let bodies = text.split("fn code(").skip(1).map(|rest| rest.split("\n    }").next().unwrap_or_default());
    let returned = bodies.flat_map(|body| body.split("=> ").skip(1).filter_map(word).collect::<Vec<_>>());
    let made = ["fault(", "code: ", "reject("].into_iter().flat_map(|call| text.split(call).skip(1).filter_map(word));
    returned.chain(made).collect()
}

#[test]
fn every_code_of_the_sources_is_in_the_reference() {
    let known: BTreeSet<_> = precis_schemas::codes::ALL.iter().map(|code| code.name.to_owned()).collect();
    let mut missing = Vec::new();
    for (path, text) in files(&[".rs"]) {
        if path.starts_with("services/") && !path.contains("tests") && !path.contains("/model/") {
            missing.extend(codes_of(&text).difference(&known).map(|code| format!("{path}: {code}")));
        }
    }
    assert!(missing.is_empty(), "not in schemas/src/codes.rs: {missing:#?}");
}

#[test]
fn schemas_page_names_each_topics_key_as_the_code_does() {
    let page = fs::read_to_string(root().join("schemas/README.md")).unwrap();
    let mut rows = page.lines().filter(|line| line.starts_with("| `escalations`"));
    // A document's own key, so that its escalations stay in order: `TierWorker` keys by identity.
    assert!(rows.next().is_some_and(|row| row.contains("| tenant and document id |")), "escalations' key");
}

#[test]
fn alert_rules_name_commands_that_exist() {
    let rules = fs::read_to_string(root().join("infra/prometheus/alerts.yml")).unwrap();
    assert!(rules.contains("precis config metrics"), "the command that lists metrics");
}

#[test]
fn records_say_which_provider_the_built_in_engine_has() {
    let provider = precis_pipeline::BUILT_IN_PROVIDER;
    for record in ["answer", "outcome"] {
        let schema = fs::read_to_string(root().join(format!("schemas/avro/{record}/v1.avsc"))).unwrap();
        assert!(schema.contains(&format!("Who ran it: {provider} for the built-in engine")), "{record}");
    }
}

#[test]
fn documents_give_the_order_of_routing_that_the_code_has() {
    let source = fs::read_to_string(root().join("services/router/src/router.rs")).unwrap();
    let position = |text: &str, word: &str| text.find(word).unwrap_or_else(|| panic!("no {word}"));
    let cache_first = position(&source, "self.cached(") < position(&source, "self.admission.first(");
    for (page, cache, gate) in [
        ("docs/concepts/routing.md", "Is it answered already?", "May it?"),
        ("services/router/src/lib.rs", "cached?", "─▶ gate"),
    ] {
        let text = fs::read_to_string(root().join(page)).unwrap();
        assert_eq!(position(&text, cache) < position(&text, gate), cache_first, "{page}");
    }
}
