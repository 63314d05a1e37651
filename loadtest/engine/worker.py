"""The row that is measured inside `gpu-worker` with Kafka beside it, against the engine alone at the very same sequences.

    python3 loadtest/engine/worker.py [--documents 32] [--rounds 3]      this row alone

Both read the same prompts, have the same batch and the same pool, and end answers by the same rules: at the model's end token, where it
goes in circles, at the first blank line, at the latest after the tokens that a worker allows. What differs is what is measured: Kafka,
router, store and checks on the same cores. Since an answer does not depend on its neighbours, both must read and
write exactly as many tokens; a run in which they do not measures something else and says so.
"""

import argparse
import json
import os
import statistics
import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from engines import Figure, Precis, Result, answer
from prompts import OUT, TARGET, WORK, Papers, tell, write

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parents[1] / "tests/harness"))
import provision  # noqa: E402

# What `Prompt::for_document` asks for where a publisher names no length, and the tokens that it leaves room for.
MAX_WORDS = 120
NEW_TOKENS = 2 * MAX_WORDS + 48
# Large enough that every paper is read whole, as `precis bench` reads them.
WINDOW_TOKENS = 8192
# The pool gives out blocks; `precis bench` rounds a sequence up to this.
BLOCK_TOKENS = 64


class Worker:
    """Measures pairs of (engine alone, inside the worker)."""

    def __init__(self, ours: Precis, papers: Papers, batch: int, folder: Path = WORK):
        self.ours, self.papers, self.batch, self.folder = ours, papers, batch, folder
        self.rounds: list[tuple[Result, Result]] = []

    def engine(self) -> dict:
        """The engine's settings: batch and pool as `precis bench` sets them, the rest the worker's own."""
        sizes = sorted(
            (
                -(-(length + NEW_TOKENS) // BLOCK_TOKENS) * BLOCK_TOKENS
                for length in self.papers.lengths()
            ),
            reverse=True,
        )
        return {
            "threads": self.ours.threads,
            "max_sequences": self.batch,
            "kv_tokens": sum(sizes[: self.batch]),
            "window_tokens": WINDOW_TOKENS,
        }

    def measure(self, number: int) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        prompts = write(self.papers.prompts, self.folder / "worker.ids")
        alone = self.ours.measure(
            Figure(
                "",
                "documents",
                prompts,
                self.batch,
                new_tokens=NEW_TOKENS,
                natural=True,
                paragraph=True,
            )
        )
        inside = self.inside()
        self.rounds.append((alone, inside))
        tell(
            f"round {number}: {self.name()}: engine alone {alone.rate:.1f}, inside {inside.rate:.1f}"
        )

    def inside(self) -> Result:
        file = self.folder / "worker.jsonl"
        file.write_text("".join(json.dumps(record) + "\n" for record in self.papers.records))
        python = provision.python_environment() / "bin/python"
        command = [
            python,
            HERE / "inside.py",
            "--papers",
            file,
            "--max-words",
            MAX_WORDS,
            "--engine",
            json.dumps(self.engine()),
        ]
        found = answer(command, self.ours.environment | {"CARGO_TARGET_DIR": str(TARGET)})
        wanted = {
            record["id"]: len(prompt)
            for record, prompt in zip(self.papers.records, self.papers.prompts)
        }
        if found.pop("input_tokens_by_document") != wanted:
            raise RuntimeError("the worker's prompts are not those of `precis bench`")
        result = Figure("", "documents", file).result(found, found["peak_rss_mib"])
        result.details = found
        return result

    def name(self) -> str:
        return (
            f"documents/min inside `gpu-worker`, Kafka beside it, natural stop, ≤ {NEW_TOKENS} out"
        )

    def rows(self) -> str:
        """Rows for run.py's table: what stands where llama.cpp stands in others is our own engine alone, and marked so."""
        if not self.rounds:
            return ""
        median = lambda side, name: statistics.median(
            getattr(pair[side], name) for pair in self.rounds
        )
        ratio = statistics.median(inside.rate / alone.rate for alone, inside in self.rounds)
        peak = max(inside.peak_rss_mib for _, inside in self.rounds)
        pool = self.rounds[0][0].details["kv_mib"]
        alone_peak = max(alone.peak_rss_mib for alone, _ in self.rounds)
        cells = [
            self.name(),
            f"(engine alone) {median(0, 'rate'):.1f}",
            "the same sequences, batch and pool",
            f"{median(1, 'rate'):.1f}",
            f"**{ratio:.2f} × of alone**",
            f"(alone) {median(0, 'tokens_per_cpu_second'):.0f}",
            f"{median(1, 'tokens_per_cpu_second'):.0f}",
            "–",
            "–",
        ]
        memory = [
            "peak memory, MiB (`gpu-worker`)",
            f"(engine alone) {alone_peak:.0f}",
            "",
            f"{peak:.0f} = pool {pool:.1f} + {peak - pool:.0f}",
            *[""] * 5,
        ]
        return "".join("| " + " | ".join(row) + " |\n" for row in (cells, memory)) + self.note()

    def note(self) -> str:
        alone, inside = self.rounds[-1]
        seen = inside.details
        beside = ", ".join(
            f"{name} {seconds:.1f}" for name, seconds in seen["cpu_seconds_beside"].items()
        )
        text = (
            f"\nInside `gpu-worker`, last round: {seen['documents']} documents, {seen['input_tokens']} tokens in, {inside.output_tokens} out "
            f"(alone {alone.output_tokens}), {inside.wall_seconds:.1f} s from the first document taken to the last outcome committed and read "
            f"({seen['published_seconds']:.1f} s from publication). CPU seconds: worker {seen['cpu_seconds']:.1f}, {beside}.\n"
        )
        unlike = any(inside.output_tokens != alone.output_tokens for alone, inside in self.rounds)
        return (
            text
            + "**The answers differ from those of the engine alone: this row compares different work.**\n"
            * unlike
        )

    def record(self) -> list[dict]:
        """Every round, for the JSON beside the table."""
        return [{"alone": asdict(alone), "inside": asdict(inside)} for alone, inside in self.rounds]


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Measures documents a minute inside gpu-worker with Kafka beside it, and of the engine alone."
    )
    parser.add_argument("--precis", type=Path, default=TARGET / "release/precis")
    parser.add_argument("--documents", type=int, default=32, help="how many of the 112 papers")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    folder = WORK / "worker"
    papers = Papers.load(options.precis, folder).sample(options.documents)
    worker = Worker(
        Precis(options.precis, options.threads, "native", options.batch),
        papers,
        options.batch,
        folder,
    )
    for number in range(1, options.rounds + 1):
        worker.measure(number)
    OUT.mkdir(parents=True, exist_ok=True)
    kept = OUT / f"worker-{datetime.now():%Y%m%d-%H%M%S}.json"
    kept.write_text(json.dumps(worker.record(), indent=1))
    print(
        "| figure | engine alone | | inside | ratio | tokens/CPU s: alone | inside | | |\n"
        + "| --- " * 9
        + "|\n"
        + worker.rows()
    )
    tell(f"kept in {kept}")


if __name__ == "__main__":
    main()
