#![allow(clippy::unwrap_used, clippy::float_cmp)]

use candle_core::quantized::gguf_file::Value;
use candle_core::{Device, Tensor};
use serde_json::json;

use super::*;
use crate::error::ErrorClass;
use crate::step::{Adapter, ModelConfig, Place, Site};
use crate::testing::adapters::{RECIPE, Recipe, base, registered, write_config, write_gguf, write_peft};
use crate::testing::tiny;

mod golden;

const SITES: [Site; 4] = [Site::Qkv, Site::Output, Site::GateUp, Site::Down];

/// Everything that an adapter computes with.
fn numbers(adapter: &Adapter) -> Vec<(usize, f32, Vec<f32>, Vec<f32>)> {
    let places = (0..adapter.layers()).flat_map(|layer| SITES.map(|site| Place { layer, site }));
    let of = |place| adapter.parts(place).iter().map(|part| (part.shape().first, part.scale(), part.a(), part.b()));
    places.flat_map(of).collect()
}

/// Why an adapter in this folder, or file, is refused.
fn refusal(path: &Path) -> String {
    let error =
        AdapterFiles::open("mine", path).and_then(|files| factors::factors("mine", &files, &base())).unwrap_err();
    assert_eq!((error.code(), error.class()), ("bad_adapter", ErrorClass::Reject));
    error.to_string()
}

#[test]
fn both_formats_of_an_adapter_compute_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (peft, gguf) = (folder.path().join("peft"), folder.path().join("mine.gguf"));
    write_peft(&peft, RECIPE, &tiny::config());
    write_gguf(&gguf, RECIPE, &tiny::config(), &[]);
    let read = |path: &Path| {
        let adapter = factors::factors("mine", &AdapterFiles::open("mine", path).unwrap(), &base()).unwrap();
        numbers(&adapter)
    };
    let expected = read(&peft);
    assert_eq!(expected.len(), 2 * 7, "all projections of both layers");
    assert!(expected.iter().all(|(_, scale, ..)| *scale == 2.0), "alpha 8, rank 4");
    assert_eq!(read(&gguf), expected);
}

/// Of a model whose file keeps rotated values apart, GGUF adapters keep them apart, too.
#[test]
fn heads_are_paired_as_the_architecture_needs() {
    let folder = tempfile::tempdir().unwrap();
    let gguf = folder.path().join("mine.gguf");
    write_gguf(&gguf, RECIPE, &tiny::config(), &[("general.architecture", Value::String("qwen2".into()))]);
    let files = AdapterFiles::open("mine", &gguf).unwrap();
    let shape = ModelConfig { split_pairs: true, ..tiny::config() };
    let qwen = AdapterBase { architecture: "qwen2".into(), shape, ..base() };
    let found = factors::factors("mine", &files, &qwen).unwrap();
    let query = &found.parts(Place { layer: 0, site: Site::Qkv })[0];
    write_gguf(&gguf, RECIPE, &tiny::config(), &[]);
    let paired = factors::factors("mine", &AdapterFiles::open("mine", &gguf).unwrap(), &base()).unwrap();
    let expected = paired.parts(Place { layer: 0, site: Site::Qkv })[0].b();
    let row = |b: &[f32], row: usize| b[row * 4..][..4].to_vec();
    for (to, from) in [(0, 0), (1, 16), (2, 1), (31, 31), (32, 32), (33, 48)] {
        assert_eq!(row(&query.b(), to), row(&expected, from), "row {to}");
    }
}

#[test]
fn scales_follow_the_settings_of_each_projection() {
    let folder = tempfile::tempdir().unwrap();
    write_peft(folder.path(), RECIPE, &tiny::config());
    let scales = |settings: serde_json::Value| -> Vec<f32> {
        write_config(folder.path(), &settings);
        let files = AdapterFiles::open("mine", folder.path()).unwrap();
        numbers(&factors::factors("mine", &files, &base()).unwrap()).iter().map(|(_, scale, ..)| *scale).collect()
    };
    assert_eq!(scales(json!({ "lora_alpha": 6 })), [1.5; 14]);
    assert_eq!(scales(json!({ "lora_alpha": 6, "use_rslora": true })), [3.0; 14]);
    let patterned = scales(json!({ "alpha_pattern": { "v_proj": 2, "layers.1.mlp.down_proj": 4 } }));
    // Queries, keys, values, output, gate, up, down, in each layer.
    assert_eq!(patterned[..7], [2.0, 2.0, 0.5, 2.0, 2.0, 2.0, 2.0]);
    assert_eq!(patterned[7..], [2.0, 2.0, 0.5, 2.0, 2.0, 2.0, 1.0]);
}

#[test]
fn unsupported_settings_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    write_peft(folder.path(), RECIPE, &tiny::config());
    for (settings, said) in [
        (json!({ "peft_type": "IA3" }), "another kind than LORA"),
        (json!({ "use_dora": true }), "DoRA"),
        (json!({ "fan_in_fan_out": true }), "fan_in_fan_out"),
        (json!({ "bias": "all" }), "biases"),
        (json!({ "lora_bias": true }), "biases"),
        (json!({ "modules_to_save": ["lm_head"] }), "modules_to_save"),
        (json!({ "layer_replication": [[0, 2]] }), "layer_replication"),
        (json!({ "alpha_pattern": { ".*_proj": 2 } }), "only names are supported"),
        (json!({ "r": "four" }), "cannot be read"),
        (json!({ "lora_alpha": 1e300 }), "not finite"),
    ] {
        write_config(folder.path(), &settings);
        let text = refusal(folder.path());
        assert!(text.contains(said), "{settings}: {text}");
    }
}

/// Rewrites the tensors of an adapter in PEFT's format.
fn with_tensors(folder: &Path, change: impl FnOnce(&mut std::collections::HashMap<String, Tensor>)) {
    write_peft(folder, RECIPE, &tiny::config());
    let path = folder.join(PEFT_WEIGHTS);
    let mut tensors = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
    change(&mut tensors);
    candle_core::safetensors::save(&tensors, path).unwrap();
}

#[test]
fn tensors_that_do_not_fit_the_model_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let start = "base_model.model.model.layers";
    let zeros =
        |rows: usize, columns: usize| Tensor::zeros((rows, columns), candle_core::DType::F32, &Device::Cpu).unwrap();
    let q = |factor: &str| format!("{start}.1.self_attn.q_proj.lora_{factor}.weight");
    for (name, tensor, said) in [
        (q("A"), Some(zeros(4, 32)), "192 outputs of 64 inputs"),
        (q("A"), Some(zeros(3, 64)), "192 outputs of 64 inputs"),
        (q("B"), Some(zeros(64, 4)), "192 outputs of 64 inputs"),
        (q("A"), Some(zeros(600, 600)), "a rank must be 1 to 512"),
        (q("A"), Some((zeros(4, 64) / 0.0).unwrap()), "not finite"),
        (q("B"), None, "one of its two factors is missing"),
        (format!("{start}.2.self_attn.q_proj.lora_A.weight"), Some(zeros(4, 64)), "the model has 2 layers"),
        (format!("{start}.x.self_attn.q_proj.lora_A.weight"), Some(zeros(4, 64)), "the model has 2 layers"),
        (format!("{start}.0.self_attn.q_norm.lora_A.weight"), Some(zeros(4, 64)), "only the linear projections"),
        (
            format!("{start}.0.self_attn.q_proj.lora_magnitude_vector"),
            Some(zeros(1, 64)),
            "only the linear projections",
        ),
        ("base_model.model.lm_head.lora_A.weight".into(), Some(zeros(4, 64)), "it changes `lm_head`"),
        ("base_model.model.model.embed_tokens.lora_A.weight".into(), Some(zeros(4, 64)), "it changes `embed_tokens`"),
    ] {
        with_tensors(folder.path(), |tensors| {
            match tensor {
                Some(tensor) => tensors.insert(name.clone(), tensor),
                None => tensors.remove(&name),
            };
        });
        let text = refusal(folder.path());
        assert!(text.contains(said), "{name}: {text}");
    }
    with_tensors(folder.path(), std::collections::HashMap::clear);
    assert!(refusal(folder.path()).contains("it holds no product"));
}

#[test]
fn files_that_are_no_adapters_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (peft, gguf) = (folder.path().join("peft"), folder.path().join("mine.gguf"));
    assert!(refusal(&gguf).contains("is missing"));
    fs::create_dir(&peft).unwrap();
    assert!(refusal(&peft).contains("is missing"));
    write_peft(&peft, RECIPE, &tiny::config());
    let whole = fs::read(peft.join(PEFT_WEIGHTS)).unwrap();
    for cut in [0, 4, 8, 100, whole.len() - 1] {
        fs::write(peft.join(PEFT_WEIGHTS), &whole[..cut]).unwrap();
        assert!(refusal(&peft).contains("cannot be read"), "{cut} bytes");
    }
    for (key, value, said) in [
        ("general.type", "model", "`general.type` is `model`"),
        ("adapter.type", "control", "`adapter.type` is `control`"),
        ("general.architecture", "qwen2", "`general.architecture` is `qwen2`"),
    ] {
        write_gguf(&gguf, RECIPE, &tiny::config(), &[(key, Value::String(value.into()))]);
        assert!(refusal(&gguf).contains(said), "{key}");
    }
    write_gguf(&gguf, RECIPE, &tiny::config(), &[]);
    let whole = fs::read(&gguf).unwrap();
    for cut in [0, 3, 30, 500, whole.len() - 1] {
        fs::write(&gguf, &whole[..cut]).unwrap();
        refusal(&gguf);
    }
}

#[test]
fn a_newer_version_of_an_adapter_replaces_the_older() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(find("mine", folder.path()).unwrap_err().code(), "unknown_adapter");
    let first = registered(folder.path(), "mine", RECIPE);
    assert_eq!(find("mine", folder.path()).unwrap(), first);
    assert_eq!((first.rank, first.bytes), (4, 2 * 4 * 2 * 1248));
    assert!(first.id().starts_with("mine@") && first.id().len() == 21, "{}", first.id());
    let second = registered(folder.path(), "mine", Recipe { seed: 2, ..RECIPE });
    assert_ne!(second.id(), first.id());
    assert_eq!(find("mine", folder.path()).unwrap(), second);
    // Answers that began with the first are finished with it.
    assert!(read(&first, &base()).is_ok() && read(&second, &base()).is_ok());
    registered(folder.path(), "another", RECIPE);
    let names: Vec<String> = super::registered(folder.path()).into_iter().map(|entry| entry.name).collect();
    assert_eq!(names, ["another", "mine"]);
    for name in ["", "..", "../mine", ".mine", "a/b", "mine\n"] {
        assert_eq!(find(name, folder.path()).unwrap_err().code(), "unknown_adapter", "{name:?}");
    }
}

#[test]
fn changed_files_and_other_models_are_refused_at_load() {
    let folder = tempfile::tempdir().unwrap();
    let entry = registered(folder.path(), "mine", RECIPE);
    let other = AdapterBase { sha256: "cd".repeat(32), ..base() };
    let error = read(&entry, &other).unwrap_err();
    assert!(error.to_string().contains("register it for that one"), "{error}");
    for file in [PEFT_CONFIG, PEFT_WEIGHTS] {
        let path = entry.folder.join(file);
        let whole = fs::read(&path).unwrap();
        let mut changed = whole.clone();
        let last = changed.len() - 2;
        changed[last] ^= 1;
        fs::write(&path, &changed).unwrap();
        let error = read(&entry, &base()).unwrap_err();
        assert_eq!((error.code(), error.class()), ("bad_adapter", ErrorClass::Reject));
        assert!(error.to_string().contains("changed or damaged"), "{error}");
        fs::write(&path, &whole).unwrap();
    }
    assert!(read(&entry, &base()).is_ok());
    let longer = AdapterEntry { file_bytes: 100, ..entry.clone() };
    assert!(read(&longer, &base()).unwrap_err().to_string().contains("more than 100"));
    fs::remove_file(entry.folder.join(PEFT_WEIGHTS)).unwrap();
    assert_eq!(read(&entry, &base()).unwrap_err().code(), "bad_adapter");
    fs::write(folder.path().join("adapters/mine.toml"), "name = 3").unwrap();
    assert_eq!(find("mine", folder.path()).unwrap_err().code(), "bad_adapter");
}
