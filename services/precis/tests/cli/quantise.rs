//! `precis models quantise`, from a folder of safetensors to a model that the settings name.

use serde_json::{Map, Value, json};

use crate::harness::{Deployment, text};

/// A Llama of one layer whose weights are all zero, in files of Hugging Face below `fine-tuned`.
fn write_folder(deployment: &Deployment) {
    let config = json!({
        "architectures": ["LlamaForCausalLM"], "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1,
        "num_attention_heads": 1, "vocab_size": 4, "max_position_embeddings": 128, "rms_norm_eps": 1e-5,
        "tie_word_embeddings": true,
    });
    let tokenizer = json!({
        "added_tokens": [{"id": 3, "content": "<|im_end|>", "special": true}],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
        "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]},
    });
    let template = "{% for message in messages %}{{ message['content'] }}{% endfor %}";
    let settings = json!({"eos_token": "<|im_end|>", "chat_template": template});
    for (name, json) in [("config", config), ("tokenizer", tokenizer), ("tokenizer_config", settings)] {
        deployment.write(&format!("fine-tuned/{name}.json"), json.to_string());
    }
    let (mut header, mut end) = (Map::new(), 0);
    for (name, shape) in [
        ("model.embed_tokens", vec![4, 32]),
        ("model.norm", vec![32]),
        ("model.layers.0.input_layernorm", vec![32]),
        ("model.layers.0.post_attention_layernorm", vec![32]),
        ("model.layers.0.self_attn.q_proj", vec![32, 32]),
        ("model.layers.0.self_attn.k_proj", vec![32, 32]),
        ("model.layers.0.self_attn.v_proj", vec![32, 32]),
        ("model.layers.0.self_attn.o_proj", vec![32, 32]),
        ("model.layers.0.mlp.gate_proj", vec![64, 32]),
        ("model.layers.0.mlp.up_proj", vec![64, 32]),
        ("model.layers.0.mlp.down_proj", vec![32, 64]),
    ] {
        let start = end;
        end += 2 * shape.iter().product::<usize>();
        header.insert(format!("{name}.weight"), json!({"dtype": "BF16", "shape": shape, "data_offsets": [start, end]}));
    }
    let header = Value::Object(header).to_string();
    let weights = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &vec![0; end]].concat();
    deployment.write("fine-tuned/model.safetensors", weights);
}

/// The entry that is written beside the file is all that the settings need.
#[test]
fn a_quantised_model_is_pulled_and_verified_by_name() {
    let deployment = Deployment::new();
    write_folder(&deployment);
    let arguments = ["models", "quantise", "fine-tuned", "--to", "q8_0", "--out", "mine.gguf", "--licence", "MIT"];
    let written = deployment.run(&[&arguments[..], &["--json"]].concat()).succeeded().json();
    assert_eq!((&written[0]["name"], &written[0]["runs_here"]), (&json!("mine"), &json!(true)), "{written:?}");
    assert_eq!(written[0]["formats"], json!({"F32": 3, "Q8_0": 8}));
    let settings = format!(
        "[model]\nname = \"mine\"\nmanifest = {:?}\ndirectory = {:?}\n",
        text(&deployment.path("mine.toml")),
        text(&deployment.path("models"))
    );
    let settings = deployment.write("precis.toml", settings);
    let config = text(&settings);
    deployment.run(&["models", "pull", "--config", config]).succeeded();
    let verified = deployment.run(&["models", "verify", "mine", "--json", "--config", config]).succeeded().json();
    assert_eq!(verified[0]["ok"], json!(true));
    // A second run would replace both files.
    let again = deployment.run(&arguments);
    assert_eq!(again.code, 1);
    assert!(again.stderr.contains("mine.toml exists"), "{}", again.stderr);
}

#[test]
fn a_model_that_cannot_be_quantised_leaves_nothing() {
    let deployment = Deployment::new();
    write_folder(&deployment);
    deployment.write("fine-tuned/tokenizer.json", "{}");
    for (arguments, expected) in [
        (&["fine-tuned"][..], "tokenizer.json"),
        (&["none"], "opening none failed"),
        (&["fine-tuned", "--name", "../mine"], "`name` must be letters"),
        (&["fine-tuned", "--out", "mine.toml"], "is the entry's name"),
    ] {
        let done = deployment.run(&[&["models", "quantise"], arguments].concat());
        assert_eq!(done.code, 1, "{}", done.stderr);
        assert!(done.stderr.contains(expected), "{expected}: {}", done.stderr);
    }
    for name in ["fine-tuned-q4_k.gguf", "fine-tuned-q4_k.toml", "mine.toml"] {
        assert!(!deployment.path(name).exists(), "{name}");
    }
}
