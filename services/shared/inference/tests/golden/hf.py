"""Logits and greedy ids of the default model by Hugging Face transformers, kept in hf.json for the tests in `src/testing/golden.rs`.

The weights are those of the GGUF file, dequantised by the package `gguf` (llama.cpp's own Python code) and given to
`LlamaForCausalLM` in float32 on the CPU; nothing of this repository is used but texts. Run by hand, in a virtual environment with
the versions that are written into the file, which were: Python 3.11, torch 2.4.1, transformers 4.57.1, gguf 0.19.0, tokenizers 0.22.2.

    pip install torch==2.4.1 transformers==4.57.1 gguf==0.19.0 'numpy<2.4'
    python hf.py SmolLM2-135M-Instruct.Q4_1.gguf > hf.json

(transformers' Flax model will not do: it has 10000 as the base of its rotary embedding, whatever the configuration says.)
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from gguf import GGUFReader
from gguf.quants import dequantize
from tokens import hugging_face
from transformers import LlamaConfig, LlamaForCausalLM

HERE = Path(__file__).resolve().parent
DOCUMENTS = HERE.parents[4] / "tests" / "documents"
TOP, ANSWER = 64, 64


def model(reader: GGUFReader) -> LlamaForCausalLM:
    read = lambda key: reader.get_field("llama." + key).contents()
    heads, kv = read("attention.head_count"), read("attention.head_count_kv")
    weights = {
        tensor.name: dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        for tensor in reader.tensors
    }
    vocabulary, width = weights["token_embd.weight"].shape
    assert "output.weight" not in weights, "the head is the embedding"

    def halves(matrix, heads):
        """GGUF has the pairs that rotate together side by side in a head; transformers has them half a head apart."""
        return matrix.reshape(heads, -1, 2, width).swapaxes(1, 2).reshape(matrix.shape)

    names = {
        "attn_norm": "input_layernorm",
        "ffn_norm": "post_attention_layernorm",
        "attn_q": "self_attn.q_proj",
        "attn_k": "self_attn.k_proj",
        "attn_v": "self_attn.v_proj",
        "attn_output": "self_attn.o_proj",
        "ffn_gate": "mlp.gate_proj",
        "ffn_up": "mlp.up_proj",
        "ffn_down": "mlp.down_proj",
    }
    state = {
        "model.embed_tokens.weight": weights.pop("token_embd.weight"),
        "model.norm.weight": weights.pop("output_norm.weight"),
    }
    for name, values in weights.items():
        _, layer, kind, _ = name.split(".")
        if kind in ("attn_q", "attn_k"):
            values = halves(values, heads if kind == "attn_q" else kv)
        state[f"model.layers.{layer}.{names[kind]}.weight"] = values
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=read("feed_forward_length"),
        num_hidden_layers=read("block_count"),
        num_attention_heads=heads,
        num_key_value_heads=kv,
        max_position_embeddings=read("context_length"),
        rope_theta=read("rope.freq_base"),
        rms_norm_eps=read("attention.layer_norm_rms_epsilon"),
        tie_word_embeddings=True,
        attn_implementation="eager",
    )
    made = LlamaForCausalLM(config).eval()
    missing, unexpected = made.load_state_dict(
        {name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in state.items()},
        strict=False,
    )
    assert missing == ["lm_head.weight"] and not unexpected, (missing, unexpected)
    made.tie_weights()
    return made


def prompts() -> dict[str, str]:
    """As the model's template writes them, a default system prompt included."""
    ask = lambda text: (
        f"<|im_start|>system\nYou summarise documents.<|im_end|>\n<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"
    )
    page = lambda path: (
        path.read_text(encoding="utf-8").strip() + "\n\nSummarise this in three sentences."
    )
    return {
        "short": ask("Name the capital of France."),
        "news": ask(page(HERE / "news.txt")),
        "french": ask(page(DOCUMENTS / "fr-histoire-introduction.txt")),
        "paper": ask(page(DOCUMENTS / "paper-men-also-like-shopping.txt")),
    }


def row(logits: torch.Tensor, position: int) -> dict:
    top = torch.topk(logits, TOP)
    values = [round(value, 4) for value in top.values.tolist()]
    return {
        "position": position,
        "ids": top.indices.tolist(),
        "logits": values,
        "logsumexp": round(torch.logsumexp(logits.double(), 0).item(), 5),
    }


@torch.no_grad()
def main() -> None:
    reader = GGUFReader(sys.argv[1])
    network, tokenizer, cases = model(reader), hugging_face(reader, specials=True), []
    for name, prompt in prompts().items():
        ids = tokenizer.encode(prompt, add_special_tokens=False).ids
        out = network(torch.tensor([ids]), use_cache=True)
        count, rows = len(ids), out.logits[0]
        at = sorted({0, count // 4, count // 2, 3 * count // 4, count - 1})
        kept = [row(rows[position], position) for position in at]
        probabilities = torch.log_softmax(rows[:-1].double(), -1)
        nll = -probabilities[torch.arange(count - 1), torch.tensor(ids[1:])].mean().item()
        # Greedy without an end: what follows an end token is a test as good as any. `margins` is how far the best is ahead.
        answer, margins, cache, last = [], [], out.past_key_values, rows[-1]
        while len(answer) < ANSWER:
            best = torch.topk(last, 2)
            answer.append(best.indices[0].item())
            margins.append(round((best.values[0] - best.values[1]).item(), 4))
            out = network(torch.tensor([answer[-1:]]), past_key_values=cache, use_cache=True)
            cache, last = out.past_key_values, out.logits[0, -1]
        cases.append(
            {
                "name": name,
                "prompt": ids,
                "rows": kept,
                "nll": round(nll, 6),
                "answer": answer,
                "margins": margins,
            }
        )
    versions = {
        name: version(name) for name in ("torch", "transformers", "gguf", "tokenizers", "numpy")
    }
    lines = ",\n".join(json.dumps(case) for case in cases)
    print(f'{{"versions": {json.dumps(versions)}, "cases": [\n{lines}\n]}}')


main()
