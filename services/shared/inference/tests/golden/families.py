"""Tiny models of every family by Hugging Face transformers, for the tests in `src/testing/families.rs`.

For each family: random weights in transformers' own model class, its logits and greedy ids on the CPU in float32, and the model as a GGUF
file, made by llama.cpp's `convert_hf_to_gguf.py`. Nothing of this repository is used. Weights are whole multiples of a power of two with one
of +-127 in every 32, so Q8_0 stores them without loss, and both sides compute with the same numbers; the script checks it.

Two things are done to the converter. The rule for words is named for it: it knows tokenizers by digest, and these are toys that no test
uses. And `mistral` gets the key of its sliding window, which the converter leaves out (llama.cpp computes Mistral without one).

Run by hand, in a virtual environment with the versions that are written into families.json, which were: Python 3.11, torch 2.4.1,
transformers 4.57.1, and on the sources of llama.cpp b11434 (`python loadtest/engine/peer.py` fetches them):

    pip install torch==2.4.1 transformers==4.57.1 sentencepiece protobuf 'numpy<2.4'
    python families.py LLAMA_CPP_SOURCES          # writes families.json and families/*.gguf
    python families.py --check LLAMA_CPP_SOURCES  # compares instead
"""

import json
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers

HERE = Path(__file__).resolve().parent
VOCABULARY, WIDTH, INNER, CONTEXT = 64, 64, 64, 512
LONG, SHORT, ANSWER = 100, 30, 24
BASE = {
    "vocab_size": VOCABULARY,
    "hidden_size": WIDTH,
    "intermediate_size": INNER,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": CONTEXT,
    "rms_norm_eps": 1e-5,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": None,
    "attn_implementation": "eager",
}
# A pair of a head of 32 numbers each; different enough to show when the wrong ones are taken.
SHORT_FACTORS = [1.0 + pair / 16 for pair in range(16)]
LONG_FACTORS = [1.0 + pair / 3 for pair in range(16)]
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
LONGROPE = {"type": "longrope", "short_factor": SHORT_FACTORS, "long_factor": LONG_FACTORS}
# Name, class, what differs from BASE, keys that are added to the file, prompts.
FAMILIES = [
    (
        "llama3",
        "Llama",
        {
            "head_dim": 32,
            "tie_word_embeddings": True,
            "rope_theta": 500000.0,
            "rope_scaling": LLAMA3,
        },
        {},
        [LONG],
    ),
    (
        "mistral",
        "Mistral",
        {"head_dim": 32, "sliding_window": 24},
        {"attention.sliding_window": 24},
        [LONG],
    ),
    (
        "nemo",
        "Mistral",
        {
            "head_dim": 64,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "sliding_window": None,
        },
        {},
        [LONG],
    ),
    (
        "qwen2",
        "Qwen2",
        {"num_attention_heads": 2, "num_key_value_heads": 1, "rope_theta": 1000000.0},
        {},
        [LONG],
    ),
    (
        "qwen3",
        "Qwen3",
        {"head_dim": 32, "tie_word_embeddings": True, "rope_theta": 1000000.0},
        {},
        [LONG],
    ),
    (
        "phi3",
        "Phi3",
        {
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "sliding_window": 40,
            "original_max_position_embeddings": 64,
            "rope_scaling": LONGROPE,
        },
        {},
        [LONG, SHORT],
    ),
    (
        "smollm3",
        "SmolLM3",
        {
            "num_hidden_layers": 4,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "tie_word_embeddings": True,
        },
        {},
        [LONG],
    ),
]
CONVERT = """
import runpy, sys
sys.path.insert(0, sys.argv[1])
sys.argv = sys.argv[1:]
from pathlib import Path
script = str(Path(sys.argv[0]) / "convert_hf_to_gguf.py")
sys.path.insert(1, str(Path(sys.argv[0]) / "gguf-py"))
import json
from conversion.base import TextModel
TextModel.get_vocab_base_pre = lambda self, tokenizer: "gpt-2"
keys = json.loads(sys.argv.pop())
written = TextModel.prepare_metadata
def prepare(self, *args, **kwargs):
    for key, value in keys.items():
        self.gguf_writer.add_uint32(f"{self.gguf_writer.arch}.{key}", value)
    written(self, *args, **kwargs)
TextModel.prepare_metadata = prepare
sys.argv[0] = script
runpy.run_path(script, run_name="__main__")
"""


def exact(generator: np.random.Generator, shape: tuple, name: str) -> torch.Tensor:
    """Numbers that Q8_0 stores exactly."""
    codes = generator.integers(-127, 128, size=shape)
    blocks = codes.reshape(-1, 32)
    blocks[:, 5] = np.where(blocks[:, 5] < 0, -127, 127)
    # Sharp attention, so that the order of tokens matters; logits that are far from each other.
    power = (
        -8
        if any(part in name for part in ("q_proj", "k_proj", "qkv_proj", "embed", "lm_head"))
        else -9
    )
    return torch.from_numpy((codes * 2.0**power).astype(np.float32))


def made(number: int, kind: str, changes: dict):
    """A model of this class with random weights, which are written down."""
    config = getattr(transformers, f"{kind}Config")(**{**BASE, **changes})
    model = getattr(transformers, f"{kind}ForCausalLM")(config).eval().float()
    generator = np.random.default_rng(1000 + number)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 2:
                parameter.copy_(exact(generator, tuple(parameter.shape), name))
            elif name.endswith(".bias"):
                parameter.copy_(
                    torch.from_numpy(generator.uniform(-1, 1, parameter.shape).astype(np.float32))
                )
            else:
                parameter.copy_(
                    torch.from_numpy(
                        generator.uniform(0.5, 1.5, parameter.shape).astype(np.float32)
                    )
                )
    return model


def tokenizer(folder: Path) -> None:
    """A toy tokenizer: the converter wants one."""
    letters = [chr(code) for code in range(ord("0"), ord("0") + VOCABULARY - 3)]
    # One merge: llama.cpp reads no file without.
    tokens = ["<s>", "</s>", *letters, "01"]
    toy = Tokenizer(
        models.BPE(vocab={token: id for id, token in enumerate(tokens)}, merges=[("0", "1")])
    )
    toy.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=toy, bos_token="<s>", eos_token="</s>", unk_token="</s>"
    )
    fast.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    path.write_text(
        json.dumps({**json.loads(path.read_text()), "tokenizer_class": "GPT2Tokenizer"})
    )


def convert(sources: Path, model, keys: dict, target: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        tokenizer(Path(folder))
        subprocess.run(
            [
                sys.executable,
                "-c",
                CONVERT,
                sources,
                folder,
                "--outtype",
                "q8_0",
                "--outfile",
                target,
            ]
            + ["--model-name", "toy", json.dumps(keys)],
            check=True,
            stdout=sys.stderr,
        )
    sys.path.insert(0, str(sources / "gguf-py"))
    from gguf import GGUFReader
    from gguf.quants import dequantize

    stored = [
        dequantize(t.data, t.tensor_type).ravel()
        for t in GGUFReader(target).tensors
        if t.n_elements > WIDTH * 4
    ]
    given = [p.detach().numpy().ravel() for p in model.parameters() if p.ndim == 2]
    assert np.array_equal(np.sort(np.concatenate(stored)), np.sort(np.concatenate(given))), (
        "weights were rounded"
    )


def case(model, number: int, length: int) -> dict:
    generator = np.random.default_rng(2000 + number)
    prompt = [int(id) for id in generator.integers(2, VOCABULARY, length)]
    with torch.no_grad():
        logits = model(torch.tensor([prompt])).logits[0].numpy()
        positions = sorted({0, length // 3, length - 1})
        answer, margins, ids = [], [], list(prompt)
        # No cache of keys: every step computes the whole text anew.
        for _ in range(ANSWER):
            last = model(torch.tensor([ids])).logits[0, -1].numpy()
            best, next_best = np.sort(last)[::-1][:2]
            answer.append(int(last.argmax()))
            margins.append(round(float(best - next_best), 4))
            ids.append(answer[-1])
    rows = [
        {"position": at, "logits": [round(float(x), 5) for x in logits[at]]} for at in positions
    ]
    return {"prompt": prompt, "rows": rows, "answer": answer, "margins": margins}


def main() -> None:
    check = "--check" in sys.argv
    sources = Path(sys.argv[-1])
    found = {
        "origin": {name: version(name) for name in ("torch", "transformers")}
        | {"llama.cpp": "b11434"},
        "families": [],
    }
    target = Path(tempfile.mkdtemp()) if check else HERE / "families"
    target.mkdir(exist_ok=True)
    for number, (name, kind, changes, keys, lengths) in enumerate(FAMILIES):
        model = made(number, kind, changes)
        file = target / f"{name}.gguf"
        convert(sources, model, keys, file)
        if check:
            assert file.read_bytes() == (HERE / "families" / file.name).read_bytes(), (
                f"{name}.gguf differs"
            )
        found["families"].append(
            {"name": name, "cases": [case(model, number, length) for length in lengths]}
        )
    path = HERE / "families.json"
    text = (
        "{"
        + ",\n".join(
            [
                f'"origin": {json.dumps(found["origin"])}',
                '"families": [' + ",\n".join(json.dumps(f) for f in found["families"]) + "]",
            ]
        )
        + "}\n"
    )
    if check:
        kept, new = json.loads(path.read_text()), json.loads(text)
        for old, family in zip(kept["families"], new["families"], strict=True):
            for one, other in zip(old["cases"], family["cases"], strict=True):
                rows = [
                    np.subtract(a["logits"], b["logits"])
                    for a, b in zip(one["rows"], other["rows"], strict=True)
                ]
                assert np.abs(rows).max() < 1e-3 and one["answer"] == other["answer"], family[
                    "name"
                ]
        print(f"{len(kept['families'])} families as they are kept")
    else:
        path.write_text(text)


if __name__ == "__main__":
    main()
