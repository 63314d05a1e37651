"""What llama.cpp's converter makes of a Hugging Face folder of each family, for the test in `src/convert/tests/golden.rs`.

A folder is saved by transformers: a tiny model of the family's own class, and a tokenizer with the family's rule for words. Its weights follow
from their names and places (`number`), so that the test can write the same folder. Kept are the folder's small files, the shapes of its tensors,
and of the converter's GGUF file all metadata and the digest of each tensor in f16.

The converter tells the rule for words by a digest of a known vocabulary; for these toys it is named.

Run by hand, in a virtual environment with the versions that are written into the file, on the sources of llama.cpp b11434
(`python loadtest/engine/peer.py` fetches them): Python 3.11, torch 2.4.1, transformers 4.57.1, sentencepiece, protobuf, numpy below 2.4.

    python converted.py LLAMA_CPP_SOURCES > converted.json
"""

import base64
import hashlib
import json
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import sentencepiece
import torch
import transformers
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

BASE = {
    "vocab_size": 272,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "rms_norm_eps": 1e-5,
    "bos_token_id": None,
    "eos_token_id": 258,
}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
# The expressions of the releases' tokenizer.json.
LLAMA3_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2_WORDS = LLAMA3_WORDS.replace("{1,3}", "")
TEKKEN_WORDS = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# Name, class, what differs from BASE, rule for words, its expression.
FAMILIES = [
    (
        "llama3",
        "Llama",
        {
            "head_dim": 32,
            "rope_theta": 500000.0,
            "rope_scaling": LLAMA3,
            "tie_word_embeddings": True,
        },
        "llama-bpe",
        LLAMA3_WORDS,
    ),
    ("smollm2", "Llama", {"rope_theta": 100000.0, "tie_word_embeddings": True}, "smollm", None),
    (
        "nemo",
        "Mistral",
        {"head_dim": 32, "sliding_window": None, "rope_theta": 1e6},
        "tekken",
        TEKKEN_WORDS,
    ),
    ("qwen2", "Qwen2", {"rope_theta": 1e6, "use_sliding_window": False}, "qwen2", QWEN2_WORDS),
    (
        "qwen3",
        "Qwen3",
        {"head_dim": 32, "rope_theta": 1e6, "tie_word_embeddings": True},
        "qwen2",
        QWEN2_WORDS,
    ),
    (
        "mistral",
        "Mistral",
        {"sliding_window": 64, "vocab_size": 300, "bos_token_id": 1, "eos_token_id": 2},
        "spm",
        None,
    ),
]
CONVERT = """
import runpy, sys
source, pre = sys.argv[1:3]
sys.argv = [source + "/convert_hf_to_gguf.py"] + sys.argv[3:]
sys.path[:0] = [source, source + "/gguf-py"]
from conversion.base import TextModel
TextModel.get_vocab_base_pre = lambda self, tokenizer: pre
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def numbers(name: str, shape: tuple) -> np.ndarray:
    """The weights of that name; all of them can be told in bf16 and in f16."""
    seed = 0x811C9DC5
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x01000193) & 0xFFFFFFFF
    places = np.arange(np.prod(shape), dtype=np.uint64)
    codes = ((places * 2654435761 + seed) & 0xFFFFFFFF) >> 24
    return ((codes.astype(np.float32) - 128) / 512).reshape(shape)


def byte_pairs(folder: Path, rule: str, words: str | None) -> None:
    vocabulary = {
        letter: id for id, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))
    }
    vocabulary |= {"th": 256, "the": 257}
    merges = [("t", "h"), ("th", "e")]
    toy = Tokenizer(
        models.BPE(vocab=vocabulary, merges=merges, ignore_merges=rule in ("llama-bpe", "tekken"))
    )
    steps = [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=words is None)]
    if rule == "smollm":
        steps.insert(0, pre_tokenizers.Digits(individual_digits=True))
    else:
        steps.insert(0, pre_tokenizers.Split(Regex(words), "isolated"))
    toy.pre_tokenizer = pre_tokenizers.Sequence(steps)
    if rule == "qwen2":
        toy.normalizer = normalizers.NFC()
    toy.add_special_tokens(
        [AddedToken("<|eot|>", special=True), AddedToken("<|begin|>", special=True)]
    )
    toy.add_tokens([AddedToken("<tool>", normalized=False)])
    if rule == "llama-bpe":
        toy.post_processor = processors.TemplateProcessing(
            single="<|begin|> $A", pair="<|begin|> $A $B", special_tokens=[("<|begin|>", 259)]
        )
    begin = {} if rule == "qwen2" else {"bos_token": "<|begin|>"}
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=toy, eos_token="<|eot|>", **begin)
    fast.chat_template = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
    fast.save_pretrained(folder)


def pieces(folder: Path) -> None:
    text = folder / "text"
    text.write_text("the quick brown fox jumps over the lazy dog\n" * 50)
    sentencepiece.SentencePieceTrainer.train(
        input=str(text),
        model_prefix=str(folder / "tokenizer"),
        vocab_size=290,
        model_type="bpe",
        byte_fallback=True,
        normalization_rule_name="identity",
        hard_vocab_limit=False,
        minloglevel=2,
    )
    text.unlink()
    (folder / "tokenizer.vocab").unlink()
    added = ["<unk>", "<s>", "</s>"]
    decoder = {str(id): {"content": token, "special": True} for id, token in enumerate(added)}
    decoder |= {
        "290": {"content": "[TOOL]", "special": True},
        "291": {"content": "\u2581x", "special": False},
    }
    settings = {
        "add_bos_token": True,
        "add_eos_token": False,
        "add_prefix_space": True,
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "tokenizer_class": "LlamaTokenizer",
        "added_tokens_decoder": decoder,
        "chat_template": "{{ messages[0]['content'] }}",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def family(
    sources: Path, name: str, kind: str, changes: dict, rule: str, words: str | None
) -> dict:
    from gguf import GGUFReader

    config = getattr(transformers, f"{kind}Config")(**{**BASE, **changes})
    model = getattr(transformers, f"{kind}ForCausalLM")(config).to(torch.bfloat16)
    shapes = {}
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            shapes[parameter_name] = list(parameter.shape)
            parameter.copy_(torch.from_numpy(numbers(parameter_name, tuple(parameter.shape))))
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder) / "toy"
        model.save_pretrained(folder)
        pieces(folder) if rule == "spm" else byte_pairs(folder, rule, words)
        target = folder / "out.gguf"
        command = [
            sys.executable,
            "-c",
            CONVERT,
            sources,
            rule,
            folder,
            "--outtype",
            "f16",
            "--outfile",
            target,
        ]
        subprocess.run(command, check=True, stdout=sys.stderr)
        reader = GGUFReader(target)
        files = {
            path.name: base64.b64encode(path.read_bytes()).decode()
            if path.suffix == ".model"
            else path.read_text(encoding="utf-8")
            for path in sorted(folder.iterdir())
            if path.suffix not in (".safetensors", ".gguf")
        }
        metadata = {
            key: [[kind.name for kind in field.types], field.contents()]
            for key, field in reader.fields.items()
            if not key.startswith("GGUF.")
        }
        tensors = {
            tensor.name: {
                "format": tensor.tensor_type.name,
                "shape": [int(size) for size in reversed(tensor.shape)],
                # The converter computes these divisors in f32, so they are compared as numbers.
                "numbers": tensor.data.tolist() if tensor.name == "rope_freqs.weight" else [],
                "sha256": hashlib.sha256(tensor.data.tobytes()).hexdigest(),
            }
            for tensor in reader.tensors
        }
        return {
            "name": name,
            "files": files,
            "shapes": shapes,
            "metadata": metadata,
            "tensors": tensors,
        }


def main() -> None:
    sources = Path(sys.argv[1])
    sys.path.insert(0, str(sources / "gguf-py"))
    origin = {name: version(name) for name in ("torch", "transformers", "sentencepiece")} | {
        "llama.cpp": "b11434"
    }
    found = {"origin": origin, "families": [family(sources, *rest) for rest in FAMILIES]}
    json.dump(found, sys.stdout, ensure_ascii=True, indent=None)
    print()


if __name__ == "__main__":
    main()
