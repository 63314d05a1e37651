"""Every family's tiny model by llama.cpp: whether it computes what transformers, and so our decoder, computes.

    make verify-quality
    python3 loadtest/quality/families.py

The models and the golden logits are those of services/shared/inference/tests/golden/families.py: made by Hugging Face transformers, converted
by llama.cpp's script, and held against our decoder by `cargo test -p precis-inference --lib families`. Here llama.cpp reads the same files,
with weights dequantised to f32 and keys and values in f32, so that rounding is all that may differ. Compared are the golden rows of logits and
the ids of the greedy answer. What llama.cpp does not compute rests on transformers alone: it has no window for Mistral and Phi-3, so of
theirs only positions inside the window are compared; and it rounds a context up to 256 tokens, so that it cannot be asked for Phi-3's factors
of short contexts. Seconds once llama.cpp's library is built; exit code 1 where a family differs.
"""

import json
import os
import struct
import sys
import tempfile
from pathlib import Path

import measure
from measure import GOLDEN

sys.path[:0] = [str(GOLDEN)]

import peer  # noqa: E402

VOCABULARY = 64
# Positions that are inside of the window of each model; the models without one have no limit.
WINDOWS = {"mistral": 24, "phi3": 40}
# Both sides round in f32, and families.json to five digits.
MOST = 5e-4


def by_llama_cpp(model: Path, ids: list[int], rows: list[int], folder: Path):
    """Logits of the positions `rows`, [rows, vocabulary]."""
    import numpy as np

    request, logits = folder / "tokens", folder / "logits"
    words = [1, len(ids), len(rows), *ids, *rows]
    request.write_bytes(struct.pack(f"<{len(words)}I", *words))
    tool = measure.llama_reference()
    peer.run(tool, "logits", model, request, logits, "f32", "off")
    return np.fromfile(logits, "<f4").reshape(len(rows), VOCABULARY)


def compared(family: dict, model: Path, folder: Path) -> tuple[float, int, int]:
    """Of the long prompt: the largest difference of a logit, ids that differ, ids compared."""
    import numpy as np

    case = family["cases"][0]
    ids = case["prompt"] + case["answer"]
    inside = WINDOWS.get(family["name"], len(ids))
    golden = {row["position"]: row["logits"] for row in case["rows"]}
    # The id at a position is chosen from the logits of the one before.
    answer = {len(case["prompt"]) - 1 + at: id for at, id in enumerate(case["answer"])}
    rows = [row for row in sorted(golden.keys() | answer.keys()) if row < inside]
    logits = dict(zip(rows, by_llama_cpp(model, ids, rows, folder)))
    largest = max(
        float(np.abs(logits[row] - np.array(golden[row])).max()) for row in golden if row < inside
    )
    chosen = [(int(logits[row].argmax()), id) for row, id in answer.items() if row < inside]
    return largest, sum(one != other for one, other in chosen), len(chosen)


def main() -> int:
    python = measure.environment()
    if Path(sys.prefix) != python.parents[1]:
        os.execv(python, [str(python), *sys.argv])
    families = json.loads((GOLDEN / "families.json").read_text())["families"]
    failed = False
    print("| family | largest difference of a logit | ids that differ, of those compared |")
    print("| --- | ---: | ---: |")
    with tempfile.TemporaryDirectory(prefix="precis-families-") as name:
        folder = Path(name)
        for family in families:
            model = folder / f"{family['name']}.gguf"
            peer.run(peer.driver(), "quantize", GOLDEN / "families" / model.name, model, "f32")
            largest, differing, count = compared(family, model, folder)
            print(f"| {family['name']} | {largest:.1e} | {differing} of {count} |")
            failed |= differing > 0 or not largest < MOST
    print("FAILED" if failed else f"every family within {MOST}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
