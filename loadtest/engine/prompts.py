"""The papers that a run measures with, the same for everything in it: as texts, and as the token ids of the workers' own prompt."""

import datetime
import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import corpus
from fetch import CACHE

TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or Path(__file__).resolve().parents[2] / "target")
# Results, and what is made on the way to them.
OUT = TARGET / "bench-engine"
WORK = CACHE / "bench-engine"


def tell(text: str) -> None:
    print(f"{datetime.datetime.now():%H:%M:%S} {text}", file=sys.stderr, flush=True)


def evenly(lengths: list[int], count: int) -> list[int]:
    """Indices of `count` items whose lengths are spread as those of all are, in the items' order."""
    if count >= len(lengths):
        return list(range(len(lengths)))
    ranked = sorted(range(len(lengths)), key=lengths.__getitem__)
    return sorted({ranked[int((place + 0.5) * len(lengths) / count)] for place in range(count)})


def write(prompts: list[list[str]], file: Path) -> Path:
    """Token ids as `precis bench --prompts` and the peer's driver read them: one prompt a line."""
    file.write_text("".join(" ".join(line) + "\n" for line in prompts))
    return file


@dataclass(frozen=True)
class Papers:
    """Some papers; record and prompt of the same index belong together."""

    records: list[dict]
    prompts: list[list[str]]

    @classmethod
    def load(cls, precis: Path, folder: Path) -> "Papers":
        """All of the corpus; `folder` keeps the ids."""
        folder.mkdir(parents=True, exist_ok=True)
        papers, ids = corpus.documents(CACHE / "aclsum"), folder / "papers.ids"
        subprocess.run([precis, "bench", "--documents", papers, "--write-prompts", ids], check=True)
        records = [json.loads(line) for line in papers.read_text().splitlines()]
        prompts = [line.split() for line in ids.read_text().splitlines()]
        if len(records) != len(prompts):
            raise SystemExit(f"{len(records)} papers have {len(prompts)} prompts")
        return cls(records, prompts)

    def sample(self, count: int) -> "Papers":
        """`count` papers whose lengths are spread as those of all are."""
        chosen = evenly(self.lengths(), count)
        return Papers(
            [self.records[index] for index in chosen], [self.prompts[index] for index in chosen]
        )

    def lengths(self) -> list[int]:
        return [len(prompt) for prompt in self.prompts]

    def mean(self) -> float:
        return statistics.mean(self.lengths())
