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
        ("reqwest", "precis-api-worker"),
        ("apache-avro", "precis-schemas"),
        ("fail", "precis-chaos"),
        ("metrics-exporter-prometheus", "precis-telemetry"),
    ] {
        assert_eq!(users_of(library), [owner], "{library}");
    }
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

/// The layers within a crate, lowest first: a module may use those of its own layer and below.
/// Modules that are not named are everybody's, such as errors and settings.
const LAYERS: [(&str, &[&[&str]]); 2] = [
    (
        "services/shared/inference/src",
        &[&["system", "gguf"], &["step"], &["text", "decode"], &["backend"], &["model"], &["engine"], &["bench"]],
    ),
    (
        "services/shared/flow/src",
        &[&["values"], &["member"], &["log"], &["embedded", "kafka"], &["stage", "table"], &["open"]],
    ),
];

#[test]
fn modules_import_their_own_layer_and_below() {
    let mut upward = Vec::new();
    for (folder, layers) in LAYERS {
        let level = |module: &str| layers.iter().position(|layer| layer.contains(&module));
        for module in layers.iter().copied().flatten() {
            let source = root().join(folder).join(module);
            assert!(source.is_dir() || source.with_extension("rs").exists(), "{folder} has no module {module}");
        }
        for_each_source(|path, text| {
            let Some((_, below)) = path.split_once(folder) else { return };
            let own = below.trim_start_matches('/').split(['/', '.']).next().unwrap_or_default();
            // What tests build may stand on anything.
            if below.ends_with("tests.rs") || below.contains("/tests/") {
                return;
            }
            let Some(own_level) = level(own) else { return };
            for used in text.split("crate::").skip(1) {
                let names = used.strip_prefix('{').map_or_else(
                    || vec![used],
                    |group| group.split('}').next().unwrap_or_default().split(',').map(str::trim).collect(),
                );
                for name in names {
                    let end = name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len());
                    if level(&name[..end]).is_some_and(|other| other > own_level) {
                        upward.push(format!("{folder}{below} uses crate::{}", &name[..end]));
                    }
                }
            }
        });
    }
    assert!(upward.is_empty(), "{upward:#?}");
}

#[test]
fn the_ground_floor_imports_nothing_of_ours() {
    let crates = crates();
    for name in ["precis-base", "precis-schemas"] {
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
fn quality_and_policy_can_do_no_input_or_output() {
    let crates = crates();
    for name in ["precis-quality", "precis-policy"] {
        for library in ["tokio", "precis-flow", "precis-objects", "reqwest", "tracing", "metrics", "rand", "time"] {
            assert!(!crates[name].1.iter().any(|dependency| dependency == library), "{name} must not import {library}");
        }
    }
    for_each_source(|path, text| {
        if path.contains("shared/quality/src") || path.contains("shared/policy/src") {
            for word in ["std::fs", "std::net", "SystemTime", "Instant::now", "std::env"] {
                assert!(!text.contains(word), "{path} must not use {word}");
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
