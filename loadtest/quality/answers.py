"""What the rules of decoding do to the answers: the demo's documents and papers of aclsum, with and without them, in turn.

    make verify-answers
    python3 loadtest/quality/answers.py [--documents 30] [--papers 100] [--groups 4] [--model NAME] [--keep FOLDER]
                                        [--variant NAME:KEY=VALUE,KEY=VALUE ...]

Each variant is `precis summarize` with a state of its own, settings of [gpu_worker.engine] (and `tries`, 1 or 2), and a policy that flags what fails its checks; without `--variant` two are compared, "rules"
(as shipped) and "none" (no rule at all, and no second try). The documents are cut into groups, and the variants take turns at each group, in changing order, so
that a busy machine slows all of them alike. Shown for each: the share of documents whose generated answer fails a gating check, the checks
that failed, why answers ended, numerals of answers that their document has not, ROUGE-L against the reference summary (challenge, approach and
outcome) of each paper, and documents a minute: of wall clock and of processor time.

Bars, for "rules": at most 20 % of the demo's documents and 8 % of the papers fail, no numeral of its own, ROUGE-L not below "none" by more than
half a point, 90 % of its documents a minute. Exit code 1 where one is missed. Takes half an hour on two idle cores. Not part of CI.
"""

import argparse
import collections
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent / "engine"))

import corpus  # noqa: E402
import fetch  # noqa: E402

GATES = {
    "empty",
    "truncated",
    "refusal",
    "language",
    "length",
    "repetition",
    "unsupported_numbers",
    "unsupported_names",
}
NONE = {
    "numbers_from_source": "false",
    "no_repeat_tokens": "0",
    "whole_sentences": "false",
    "tries": "1",
}
BARS = {"demo": 0.20, "papers": 0.08}
MIN_PACE = 0.90
MAX_ROUGE_LOSS = 0.005


def references() -> dict[str, str]:
    """The reference summary of each paper, by its id."""
    found = {}
    wheel = fetch.wheel(corpus.PACKAGE, corpus.SHA256, fetch.CACHE)
    with zipfile.ZipFile(wheel) as archive:
        for split in ("train", "val", "test"):
            for line in archive.read(f"aclsum/dataset/{split}.jsonl").decode().splitlines():
                record = json.loads(line)
                found[record["id"]] = " ".join(record["summary"].values())
    return found


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def rouge_l(answer: str, reference: str) -> float:
    """F1 of the longest common subsequence of words (Lin 2004), without stemming."""
    left, right = words(answer), words(reference)
    row = [0] * (len(right) + 1)
    for word in left:
        before = 0
        for at, other in enumerate(right, 1):
            before, row[at] = row[at], before + 1 if word == other else max(row[at], row[at - 1])
    return 2 * row[-1] / (len(left) + len(right)) if row[-1] else 0.0


def numerals(text: str) -> set[str]:
    """The numerals of a text, without the marks between their digits."""
    return {re.sub(r"\D", "", found) for found in re.findall(r"\d(?:[\d.,:'/-]*\d)?", text)}


def invented(answer: str, source: str) -> set[str]:
    """Numerals of an answer that its source has not, list markers left out."""
    unmarked = re.sub(r"(?m)^[ \t*]*\d{1,2}[.)](?=\s)", "", answer)
    known = numerals(source) | set(re.findall(r"\d+", source))
    return numerals(unmarked) - known


def generated_only(folder: Path, tries: int) -> Path:
    """The policy of one machine, with the model's answer in place of an extract where its checks fail."""
    text = (ROOT / "infra/policy/local.toml").read_text(encoding="utf-8")
    flagged = text.replace('on_exhausted = "extract"', 'on_exhausted = "flag"')
    if flagged == text or "second_try" not in text:
        raise SystemExit("infra/policy/local.toml has no extracts or no second try any more")
    if tries == 1:
        flagged = "\n".join(line for line in flagged.splitlines() if "second_try" not in line)
    policy = folder / f"policy-{tries}.toml"
    policy.write_text(flagged, encoding="utf-8")
    return policy


class Variant:
    def __init__(
        self, name: str, settings: dict[str, str], policies: dict[str, Path], folder: Path
    ):
        self.policy = policies[settings.get("tries", "2")]
        self.settings = {key: value for key, value in settings.items() if key != "tries"}
        self.name, self.folder = name, folder / name
        self.results: dict[str, dict] = {}
        self.wall = self.cpu = 0.0

    def run(self, precis: Path, model: str | None, inputs: list[Path], number: int) -> None:
        environment = os.environ | {
            f"PRECIS_GPU_WORKER__ENGINE__{key.upper()}": value
            for key, value in self.settings.items()
        }
        out = self.folder / f"out-{number}"
        command = [precis, "--state", self.folder / "state", "summarize", *inputs, "--out", out]
        command += ["--policy", self.policy]
        if model:
            command += ["--model", model]
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
        self.wall += time.monotonic() - started
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.cpu += after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        for path in out.glob("*.json"):
            row = json.loads(path.read_text())
            self.results[Path(row["document"]).stem] = row


def failed(row: dict) -> list[str]:
    return [
        check["name"] for check in row["checks"] if not check["passed"] and check["name"] in GATES
    ]


def shown(variant: Variant, sources: dict[str, str], summaries: dict[str, str]) -> dict:
    rows = variant.results
    checks = collections.Counter(name for row in rows.values() for name in failed(row))
    reasons = collections.Counter(row["finish_reason"] for row in rows.values())
    own = {name: invented(row["summary"], sources[name]) for name, row in rows.items()}
    scores = [
        rouge_l(row["summary"], summaries[name]) for name, row in rows.items() if name in summaries
    ]
    return {
        "documents": len(rows),
        "failed": sum(bool(failed(row)) for row in rows.values()) / max(len(rows), 1),
        "checks": dict(checks),
        "reasons": dict(reasons),
        "own": {name: sorted(found) for name, found in own.items() if found},
        "rouge": sum(scores) / len(scores) if scores else None,
        "words": sum(row["words_out"] for row in rows.values()) / max(len(rows), 1),
        "pace": 60 * len(rows) / variant.wall if variant.wall else 0.0,
        "cpu": 60 * len(rows) / variant.cpu if variant.cpu else 0.0,
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--documents", type=int, default=30)
    parser.add_argument("--papers", type=int, default=100)
    parser.add_argument("--groups", type=int, default=4)
    parser.add_argument(
        "--names", nargs="+", default=[], help="only these documents, by file stem or paper id"
    )
    parser.add_argument("--model")
    parser.add_argument("--keep", type=Path, help="keep the answers in this folder")
    parser.add_argument("--variant", nargs="+", default=[], help="NAME:KEY=VALUE,KEY=VALUE")
    parser.add_argument("--precis", type=Path, help="the binary; else target/release/precis")
    arguments = parser.parse_args()
    target = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
    precis = arguments.precis or target / "release/precis"
    summaries = references()
    wheel = fetch.wheel(corpus.PACKAGE, corpus.SHA256, fetch.CACHE)
    missed = []
    with tempfile.TemporaryDirectory(prefix="precis-answers-") as folder:
        folder = arguments.keep or Path(folder)
        texts = folder / "papers"
        shutil.rmtree(texts, ignore_errors=True)
        texts.mkdir(parents=True)
        for paper in corpus.papers(wheel)[: arguments.papers]:
            (texts / f"{paper['id']}.txt").write_text(paper["text"], encoding="utf-8")
        policies = {str(tries): generated_only(folder, tries) for tries in (1, 2)}
        sets = {
            "demo": sorted((ROOT / "tests/documents").iterdir())[: arguments.documents],
            "papers": sorted(texts.iterdir()),
        }
        for name, paths in sets.items():
            if arguments.names:
                paths = [path for path in paths if path.stem in arguments.names]
            if not paths:
                continue
            variants = [
                Variant("rules", {}, policies, folder / name),
                Variant("none", NONE, policies, folder / name),
            ]
            if arguments.variant:
                split = [text.split(":", 1) for text in arguments.variant]
                variants = [
                    Variant(
                        label,
                        dict(pair.split("=", 1) for pair in pairs.split(",") if pair),
                        policies,
                        folder / name,
                    )
                    for label, pairs in split
                ]
            for number in range(arguments.groups):
                group = paths[number :: arguments.groups]
                for variant in variants[:: 1 if number % 2 == 0 else -1] if group else []:
                    variant.run(precis, arguments.model, group, number)
            sources = {path.stem: path.read_text(encoding="utf-8") for path in paths}
            found = {variant.name: shown(variant, sources, summaries) for variant in variants}
            print(f"\n{name}: {len(paths)} documents")
            print(
                f"{'':12}{'failed':>8}{'ROUGE-L':>9}{'words':>7}{'a minute':>10}{'by CPU':>8}  checks; ends; own numerals"
            )
            for label, row in found.items():
                rouge = f"{100 * row['rouge']:.2f}" if row["rouge"] is not None else "-"
                print(
                    f"{label:12}{row['failed']:8.0%}{rouge:>9}{row['words']:7.0f}{row['pace']:10.2f}{row['cpu']:8.2f}"
                    f"  {row['checks']}; {row['reasons']}; {row['own']}"
                )
            if not arguments.variant:
                rules, none = found["rules"], found["none"]
                if rules["failed"] > BARS[name]:
                    missed.append(
                        f"{name}: {rules['failed']:.0%} fail, at most {BARS[name]:.0%} may"
                    )
                if rules["own"]:
                    missed.append(f"{name}: numerals of their own: {rules['own']}")
                if rules["rouge"] is not None and rules["rouge"] < none["rouge"] - MAX_ROUGE_LOSS:
                    missed.append(
                        f"{name}: ROUGE-L {rules['rouge']:.4f} instead of {none['rouge']:.4f}"
                    )
                if rules["pace"] < MIN_PACE * none["pace"]:
                    missed.append(
                        f"{name}: {rules['pace'] / none['pace']:.0%} of the documents a minute"
                    )
    for line in missed:
        print(f"missed: {line}")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
