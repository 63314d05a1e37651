//! What the documents say of the sources holds: links, names of tests, sizes, words.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Every file below the root with one of the endings; build output and other people's texts left out.
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
