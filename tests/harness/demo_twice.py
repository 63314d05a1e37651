"""`make demo` twice in a row, as a new user does it, with a state folder and results of its own.

    python3 tests/harness/demo_twice.py

The first run starts from an empty state; the second must end at once, with every outcome from the store and the same text. Exit code 0
when both ended in time and agree, 1 with what differs otherwise.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# A build from nothing and thirty documents on two slow cores.
FIRST_SECONDS = 3600
# No model is asked, so what takes time is that cargo looks for changes.
SECOND_SECONDS = 300
# What the second run may not change.
SAME = ("document_id", "outcome", "summary", "code", "settled_at")


def demo(folder: Path, seconds: int) -> dict[str, dict]:
    """Runs `make demo` and returns its results by document."""
    out = folder / "out"
    env = os.environ | {"PRECIS_STATE": str(folder / "state"), "DEMO_OUT": str(out)}
    # In a group of its own: what does not end in time ends whole, make's children included.
    with subprocess.Popen(
        ["make", "demo"], cwd=ROOT, env=env, stdin=subprocess.DEVNULL, start_new_session=True
    ) as process:
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            sys.exit(f"make demo did not end within {seconds} s")
    if code:
        sys.exit(f"make demo ended with {code}")
    return {
        row["document"]: row
        for row in map(json.loads, (path.read_text() for path in out.glob("*.json")))
    }


def differences(first: dict[str, dict], second: dict[str, dict]) -> list[str]:
    """What is wrong with the second run's results, a line each."""
    documents = len(list((ROOT / "tests/documents").iterdir()))
    found = [] if len(first) == documents else [f"{len(first)} results of {documents} documents"]
    found += [
        f"{name}: only one of the runs has it" for name in sorted(first.keys() ^ second.keys())
    ]
    for name in sorted(first.keys() & second.keys()):
        if not second[name]["from_store"]:
            found.append(f"{name}: not from the store")
        found += [
            f"{name}: another {key}"
            for key in SAME
            if first[name].get(key) != second[name].get(key)
        ]
    without = [
        name for name, row in first.items() if row["outcome"] not in ("answered", "extracted")
    ]
    if len(without) > len(first) // 10:
        found.append(f"{len(without)} of {len(first)} neither answered nor extracted: {without}")
    rejected = sum(bool(row.get("rejected")) for row in first.values())
    if not 0.03 < rejected / max(len(first), 1) <= 0.2:
        found.append(
            f"the model's answers to {rejected} of {len(first)} failed, where README says about one in fifteen"
        )
    return found


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="precis-demo-") as folder:
        first = demo(Path(folder), FIRST_SECONDS)
        found = differences(first, demo(Path(folder), SECOND_SECONDS))
    print(
        "\n".join(found)
        or f"make demo twice: {len(first)} documents, the second time all from the store, with the same text"
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
