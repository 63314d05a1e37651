"""Logits of the tiny model of `src/testing/tiny.rs` with two small adapters, by PEFT on transformers.

Writes `lora/` (the adapters as PEFT saves them, one of them also as llama.cpp converts it) and
`lora.json`. Run by hand, with llama.cpp's source for its converter and with Python 3.11, torch
2.4.1, transformers 4.57.1 and peft 0.17.1:

    python lora.py LLAMA_CPP_SOURCE
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

HERE = Path(__file__).parent
WIDTH, INNER, HEADS, KV_HEADS, HEAD_DIM, VOCABULARY, LAYERS = 64, 96, 6, 2, 32, 48, 2
ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
ADAPTERS = {
    "all": LoraConfig(r=4, lora_alpha=8, target_modules=ALL),
    "some": LoraConfig(
        r=6,
        lora_alpha=5,
        use_rslora=True,
        target_modules=["q_proj", "v_proj", "down_proj"],
        rank_pattern={"v_proj": 3},
        alpha_pattern={"layers.1.mlp.down_proj": 2},
    ),
}
PROMPTS = [[7], list(range(40)), [(at * at * 7 + at * 3) % VOCABULARY for at in range(100)]]


def matrix(seed, rows, columns):
    """The tiny model's matrix of this seed: the same generator (xorshift, Marsaglia 2003) and the same roundings."""
    mask = (1 << 64) - 1
    state = (seed * 0x9E3779B97F4A7C15) & mask | 1
    numbers = np.empty(rows * columns, np.float32)
    for at in range(rows * columns):
        state ^= state << 13 & mask
        state ^= state >> 7
        state ^= state << 17 & mask
        numbers[at] = (state >> 40) / (1 << 24) - 0.5
    scale = np.float32(2.5) / np.sqrt(np.float32(columns))
    return torch.from_numpy((numbers * scale).reshape(rows, columns))


def gain(seed):
    return 1 + matrix(seed, 1, WIDTH)[0]


def apart(rows):
    """Rows of heads as transformers has them: what is rotated together stands half a head apart."""
    return rows.reshape(-1, HEAD_DIM // 2, 2, rows.shape[1]).transpose(1, 2).reshape(rows.shape)


def tiny():
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        intermediate_size=INNER,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=KV_HEADS,
        head_dim=HEAD_DIM,
        max_position_embeddings=512,
        rms_norm_eps=1e-5,
        rope_theta=10_000.0,
        tie_word_embeddings=True,
        attn_implementation="eager",
    )
    model = LlamaForCausalLM(config)
    weights = {
        "model.embed_tokens.weight": matrix(7, VOCABULARY, WIDTH),
        "model.norm.weight": gain(8),
    }
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
    for layer in range(LAYERS):
        seed, start = 100 * (layer + 1), f"model.layers.{layer}."
        queries, kv = HEADS * HEAD_DIM, KV_HEADS * HEAD_DIM
        weights |= {
            start + "input_layernorm.weight": gain(seed),
            start + "self_attn.q_proj.weight": apart(matrix(seed + 1, queries, WIDTH)),
            start + "self_attn.k_proj.weight": apart(matrix(seed + 2, kv, WIDTH)),
            start + "self_attn.v_proj.weight": matrix(seed + 3, kv, WIDTH),
            start + "self_attn.o_proj.weight": matrix(seed + 4, WIDTH, queries),
            start + "post_attention_layernorm.weight": gain(seed + 5),
            start + "mlp.gate_proj.weight": matrix(seed + 6, INNER, WIDTH),
            start + "mlp.up_proj.weight": matrix(seed + 7, INNER, WIDTH),
            start + "mlp.down_proj.weight": matrix(seed + 8, WIDTH, INNER),
        }
    model.load_state_dict(weights, strict=True)
    return model.double().eval()


def logits(model):
    with torch.no_grad():
        return [model(torch.tensor([prompt])).logits[0, -1] for prompt in PROMPTS]


def make(name, config, folder):
    """Saves a random adapter; its numbers are bf16, so that every reader has the same ones."""
    torch.manual_seed(len(name))
    model = get_peft_model(tiny(), config)
    for parameter_name, parameter in model.named_parameters():
        if "lora_" in parameter_name:
            values = torch.empty(parameter.shape).uniform_(-0.15, 0.15).bfloat16()
            parameter.data = values.double()
    model.to(torch.bfloat16).save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)


def main():
    llama_cpp = Path(sys.argv[1])
    target = HERE / "lora"
    shutil.rmtree(target, ignore_errors=True)
    found = {"prompts": PROMPTS, "none": [row.tolist() for row in logits(tiny())]}
    for name, config in ADAPTERS.items():
        make(name, config, target / name)
        adapted = PeftModel.from_pretrained(tiny(), target / name).double().eval()
        rows = logits(adapted)
        merged = logits(adapted.merge_and_unload())
        difference = max((row - other).abs().max().item() for row, other in zip(rows, merged))
        print(f"{name}: {difference:.1e} from merged weights")
        assert difference < 1e-9
        found[name] = [[round(logit, 7) for logit in row.tolist()] for row in rows]
    found["none"] = [[round(logit, 7) for logit in row] for row in found["none"]]
    with tempfile.TemporaryDirectory() as base:
        tiny().float().save_pretrained(base)
        convert = [
            sys.executable,
            llama_cpp / "convert_lora_to_gguf.py",
            target / "all",
            "--base",
            base,
        ]
        subprocess.run([*convert, "--outtype", "f32", "--outfile", target / "all.gguf"], check=True)
    (HERE / "lora.json").write_text(json.dumps(found, separators=(",", ":")) + "\n")


main()
