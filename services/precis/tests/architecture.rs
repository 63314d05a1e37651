//! The invariants of the architecture that the manifests and the file tree can break.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// What measures from outside: no service may use it, and it uses nothing of theirs but the
/// schemas.
const OUTSIDE: [&str; 1] = ["loadtest/router"];

/// Crate name → its folder below the root and the dependencies it names, those of tests left out.
fn crates() -> BTreeMap<String, (String, Vec<String>)> {
    let root = root();
    let mut folders = vec![root.join("schemas")];
    folders.extend(OUTSIDE.map(|folder| root.join(folder)));
    for parent in ["services", "services/shared"] {
        folders.extend(fs::read_dir(root.join(parent)).unwrap().map(|entry| entry.unwrap().path()));
    }
    folders.retain(|folder| folder.join("Cargo.toml").exists());
    folders
        .into_iter()
        .map(|folder| {
            let manifest: toml::Table = fs::read_to_string(folder.join("Cargo.toml")).unwrap().parse().unwrap();
            let name = manifest["package"]["name"].as_str().unwrap().to_owned();
            let dependencies =
                manifest.get("dependencies").and_then(toml::Value::as_table).cloned().unwrap_or_default();
            let below = folder.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            (name, (below, dependencies.keys().cloned().collect()))
        })
        .collect()
}

fn users_of(dependency: &str) -> Vec<String> {
    let uses = |(name, (folder, dependencies)): (String, (String, Vec<String>))| {
        let inside = !OUTSIDE.contains(&folder.as_str());
        (inside && dependencies.iter().any(|other| other == dependency)).then_some(name)
    };
    crates().into_iter().filter_map(uses).collect()
}

#[test]
fn each_heavy_library_is_known_to_one_crate() {
    for (library, owner) in [
        ("rdkafka", "precis-flow"),
        ("rusqlite", "precis-flow"),
        ("aws-sdk-s3", "precis-objects"),
        ("candle-core", "precis-inference"),
        ("candle-nn", "precis-inference"),
        ("tokenizers", "precis-inference"),
        ("apache-avro", "precis-schemas"),
        ("fail", "precis-chaos"),
        ("metrics-exporter-prometheus", "precis-telemetry"),
    ] {
        assert_eq!(users_of(library), [owner], "{library}");
    }
    // One asks providers, one fetches models, one tells alarms; what they do with a redirect and a
    // key differs.
    assert_eq!(users_of("reqwest"), ["precis-api-worker", "precis-controller", "precis-inference"]);
}

#[test]
fn imports_point_down_only() {
    let crates = crates();
    let level = |name: &str| match crates[name].0.as_str() {
        "schemas" => 0,
        "services/precis" => 3,
        folder if OUTSIDE.contains(&folder) => 4,
        folder if folder.starts_with("services/shared/") => 1,
        _ => 2,
    };
    for (name, (_, dependencies)) in &crates {
        for dependency in dependencies.iter().filter(|dependency| crates.contains_key(*dependency)) {
            let (own, other) = (level(name), level(dependency));
            let outside = own == 4 && other > 0;
            assert!(!outside && (other < own || (own == 1 && other == 1)), "{name} must not import {dependency}");
        }
    }
}

/// The layers within a crate.
struct Layers {
    /// Folder of the sources.
    folder: &'static str,
    /// Modules, lowest layer first: a module may use those of its own layer and below. Modules that
    /// are not named are everybody's, such as errors and settings.
    modules: &'static [&'static [&'static str]],
    /// Modules whose submodules must not import each other.
    siblings_apart: &'static [&'static str],
}

const LAYERS: [Layers; 3] = [
    Layers {
        folder: "services/shared/inference/src",
        modules: &[
            &["system", "gguf"],
            &["step"],
            &["text", "decode"],
            &["backend"],
            &["model", "convert"],
            &["engine"],
            &["bench"],
        ],
        siblings_apart: &[],
    },
    Layers {
        folder: "services/shared/flow/src",
        modules: &[&["values"], &["member"], &["log"], &["embedded", "kafka"], &["stage", "table"], &["open"]],
        siblings_apart: &[],
    },
    Layers {
        folder: "services/precis/src",
        modules: &[
            &["exit", "globals"],
            &["output"],
            &["environment", "inputs", "progress", "follow"],
            &["compose", "documents", "report"],
            &["operations"],
            &["workers"],
            &["commands"],
            &["cli"],
        ],
        siblings_apart: &["commands"],
    },
];

impl Layers {
    fn level(&self, module: &str) -> Option<usize> {
        self.modules.iter().position(|layer| layer.contains(&module))
    }

    /// Every import of a source that the layers forbid. `module`: the path of the source's module.
    fn violations(&self, module: &[String], text: &str) -> Vec<String> {
        let Some(own_level) = module.first().and_then(|own| self.level(own)) else { return Vec::new() };
        let forbidden = |used: &Vec<String>| {
            let upward = used.first().and_then(|other| self.level(other)).is_some_and(|other| other > own_level);
            upward || self.is_sibling(module, used)
        };
        imports(module, text).into_iter().filter(forbidden).map(|used| used.join("::")).collect()
    }

    /// Whether a submodule that is to stand apart uses another submodule of the same parent.
    fn is_sibling(&self, module: &[String], used: &[String]) -> bool {
        let ([parent, own, ..], [other_parent, other, ..]) = (module, used) else { return false };
        let is_module = || {
            let source = root().join(self.folder).join(parent).join(other);
            other == "*" || source.is_dir() || source.with_extension("rs").exists()
        };
        parent == other_parent && self.siblings_apart.contains(&parent.as_str()) && own != other && is_module()
    }
}

/// The paths within its crate that a module names, from the crate's root.
fn imports(module: &[String], text: &str) -> Vec<Vec<String>> {
    let is_inside = |before: &str| before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
    let mut found = Vec::new();
    for (at, _) in text.match_indices("crate::").filter(|(at, _)| !is_inside(&text[..*at])) {
        paths(&text[at + "crate::".len()..], &mut Vec::new(), &mut found);
    }
    for (at, _) in text.match_indices("super::").filter(|(at, _)| !is_inside(&text[..*at])) {
        let mut rest = &text[at..];
        let mut base = module.to_vec();
        while let Some(inner) = rest.strip_prefix("super::") {
            (rest, _) = (inner, base.pop());
        }
        paths(rest, &mut base, &mut found);
    }
    found
}

/// Adds the paths of a use tree such as `a::{b, c::*}`, each below `base`; returns what follows the
/// tree.
fn paths<'a>(tree: &'a str, base: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> &'a str {
    let tree = tree.trim_start();
    if let Some(mut rest) = tree.strip_prefix('{') {
        loop {
            rest = paths(rest, base, found).trim_start();
            match rest.strip_prefix(',').map(str::trim_start) {
                Some(next) if !next.starts_with('}') => rest = next,
                next => return next.unwrap_or(rest).strip_prefix('}').unwrap_or(rest),
            }
        }
    }
    let end = tree.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '*').unwrap_or(tree.len());
    let (name, rest) = tree.split_at(end);
    base.push(name.to_owned());
    let rest = match rest.strip_prefix("::") {
        Some(inner) if inner.starts_with(|c: char| c.is_alphanumeric() || "_*{".contains(c)) => {
            paths(inner, base, found)
        }
        _ => {
            found.push(base.clone());
            // Another name for it says nothing about where it comes from.
            let other_name = rest.trim_start().strip_prefix("as ");
            other_name.map_or(rest, |name| name.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_'))
        }
    };
    base.pop();
    rest
}

/// The path of a source's module: `commands/bench/measure.rs` is `commands::bench::measure`.
fn module_of(below: &str) -> Vec<String> {
    let names = below.trim_start_matches('/').trim_end_matches(".rs").split('/');
    names.filter(|name| *name != "mod").map(str::to_owned).collect()
}

#[test]
fn modules_import_their_own_layer_and_below() {
    let mut upward = Vec::new();
    for layers in LAYERS {
        for module in layers.modules.iter().copied().flatten() {
            let source = root().join(layers.folder).join(module);
            assert!(source.is_dir() || source.with_extension("rs").exists(), "{} has no {module}", layers.folder);
        }
        for_each_source(|path, text| {
            let Some((_, below)) = path.split_once(layers.folder) else { return };
            // What tests build may stand on anything.
            if below.ends_with("tests.rs") || below.contains("/tests/") {
                return;
            }
            let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            for used in layers.violations(&module_of(below), text) {
                upward.push(format!("{}{below} uses crate::{used}", layers.folder));
            }
        });
    }
    assert!(upward.is_empty(), "{upward:#?}");
}

/// A module without a layer could import anything and be imported by everybody.
#[test]
fn every_module_of_the_command_line_has_a_layer() {
    let layers = LAYERS.into_iter().find(|layers| layers.folder == "services/precis/src").unwrap();
    for entry in fs::read_dir(root().join(layers.folder)).unwrap() {
        let path = entry.unwrap().path();
        let module = path.file_stem().unwrap().to_str().unwrap();
        assert!(["lib", "main"].contains(&module) || layers.level(module).is_some(), "{module} has no layer");
    }
}

#[test]
fn every_way_to_name_a_forbidden_module_is_noticed() {
    let layers = LAYERS.into_iter().find(|layers| layers.folder == "services/precis/src").unwrap();
    let own = module_of("/commands/bench/measure.rs");
    for (text, used) in [
        ("use crate::cli::Globals;", vec!["cli::Globals"]),
        ("use crate::{exit::Exit, cli::{Cli, Command}};", vec!["cli::Cli", "cli::Command"]),
        ("fn f() { crate::cli::run() }", vec!["cli::run"]),
        (
            "use crate::commands::{bench::Args, tiers::{self, Args as Other}, up};",
            vec!["commands::tiers::self", "commands::tiers::Args", "commands::up"],
        ),
        ("use super::super::policy::apply;", vec!["commands::policy::apply"]),
        ("use super::super::*;", vec!["commands::*"]),
        ("use super::{Args, start};\nuse crate::operations::models;\nuse other_crate::cli::Cli;", vec![]),
    ] {
        assert_eq!(layers.violations(&own, text), used, "{text}");
    }
}

#[test]
fn the_ground_floor_imports_nothing_of_ours() {
    let crates = crates();
    for name in ["precis-base", "precis-schemas", "precis-statistics"] {
        let ours: Vec<_> = crates[name].1.iter().filter(|dependency| crates.contains_key(*dependency)).collect();
        assert!(ours.is_empty(), "{name} must not import {ours:?}");
    }
}

#[test]
fn nothing_of_the_chaos_build_is_in_any_other() {
    let table =
        |of: &toml::Table, name: &str| of.get(name).and_then(toml::Value::as_table).cloned().unwrap_or_default();
    let folders = crates().into_values().map(|(folder, _)| folder).chain([String::new()]);
    for manifest in folders.map(|folder| root().join(folder).join("Cargo.toml")) {
        let read: toml::Table = fs::read_to_string(&manifest).unwrap().parse().unwrap();
        for of in [&read, &table(&read, "workspace")] {
            for dependencies in ["dependencies", "dev-dependencies", "build-dependencies"] {
                let switched_on = table(of, dependencies).to_string().contains("\"chaos\"");
                assert!(!switched_on, "{}: {dependencies}", manifest.display());
            }
        }
        let defaults = table(&read, "features").get("default").cloned();
        assert!(defaults.is_none_or(|features| !features.to_string().contains("chaos")), "{}", manifest.display());
    }
}

#[test]
fn pure_crates_can_do_no_input_or_output() {
    let crates = crates();
    for name in ["precis-quality", "precis-policy", "precis-statistics"] {
        for library in ["tokio", "precis-flow", "precis-objects", "reqwest", "tracing", "metrics", "rand", "time"] {
            assert!(!crates[name].1.iter().any(|dependency| dependency == library), "{name} must not import {library}");
        }
    }
    let of_controller = ["controller/src/view", "controller/src/report", "controller/src/calendar"];
    let pure = ["shared/quality/src", "shared/policy/src", "shared/statistics/src"].into_iter().chain(of_controller);
    let pure: Vec<_> = pure.collect();
    for_each_source(|path, text| {
        if pure.iter().any(|folder| path.contains(folder)) {
            for word in ["std::fs", "std::net", "SystemTime", "Instant::now", "now_utc", "std::env"] {
                assert!(!text.contains(word), "{path} must not use {word}");
            }
            // The controller's shell has these; what it shows is a function of the outcomes alone.
            let shell = ["tokio::", "precis_flow::", "precis_objects::", "precis_base::", "reqwest::", "tracing::"];
            for library in shell.iter().filter(|_| path.contains("controller/src")) {
                assert!(!text.contains(library), "{path} must not use {library}");
            }
        }
    });
}

#[test]
fn the_inference_crate_knows_no_log_and_no_store() {
    let crates = crates();
    for library in ["precis-flow", "precis-objects", "precis-pipeline", "precis-schemas", "precis-policy"] {
        assert!(!crates["precis-inference"].1.iter().any(|dependency| dependency == library), "{library}");
    }
}

/// The kernels, and what calls libFuzzer, which nothing that is shipped may use.
#[test]
fn every_crate_but_two_forbids_unsafe_code() {
    let root = root();
    let manifest = |folder: &Path| fs::read_to_string(root.join(folder).join("Cargo.toml")).unwrap().parse().unwrap();
    let workspace: toml::Table = manifest(Path::new(""));
    assert_eq!(workspace["workspace"]["lints"]["rust"]["unsafe_code"].as_str(), Some("forbid"));
    let others = ["tests/fuzz", "tests/fuzz/libfuzzer"].map(|folder| (folder.to_owned(), Vec::new()));
    for (folder, dependencies) in crates().into_values().chain(others) {
        let read: toml::Table = manifest(Path::new(&folder));
        let lints = read.get("lints").and_then(|lints| lints.get("workspace")).and_then(toml::Value::as_bool);
        let allowed = ["services/shared/kernels", "tests/fuzz/libfuzzer"].contains(&folder.as_str());
        assert_ne!(lints == Some(true), allowed, "{folder}");
        assert!(!dependencies.iter().any(|name| name.contains("fuzz")), "{folder}: a decoder is fuzzed by its tests");
    }
}

#[test]
fn no_source_file_is_longer_than_500_lines() {
    for_each_source(|path, text| {
        let lines = text.lines().count();
        assert!(lines <= 500, "{path} has {lines} lines; split it by responsibility");
    });
}

fn for_each_source(mut check: impl FnMut(&str, &str)) {
    let root = root();
    let mut folders = vec![root.join("schemas"), root.join("services"), root.join("loadtest")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                check(path.to_str().unwrap(), &fs::read_to_string(&path).unwrap());
            }
        }
    }
}
