"""`make growth`: whether the work on a text grows no faster than the text, whatever its shape; and whether the kernels
of an instruction set use it.

    python3 tests/fuzz/growth.py [--only checks,html] [--package precis-quality]

A target is a test that calls `precis_fuzz::grows_linearly`; what it is about stands there. Work is counted, not timed:
callgrind counts the instructions of everything that the target calls, other crates and the standard library included,
so the same build gives the same counts on an idle machine and on a busy one. A shape fails where a text four times as
long takes more than five times the instructions; work that is quadratic takes sixteen times.

It runs the test binaries of `make test`. The last line is `N shapes grow linearly, N faster`; the exit code is 0 only
when none grows faster and no work takes more than its share.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve()
WORK = TARGET / "growth"

# What the tests have in their names that call grows_linearly and takes_at_most, and the function whose work is counted.
MARKS = ("linear", "cheaper")
CALLS = ("precis_fuzz::grows_linearly", "precis_fuzz::takes_at_most")
COUNTED = "precis_fuzz::growth::counted"
# Of linear work it is four, of n log n a little more, of quadratic work sixteen.
MAX_FACTOR = 5.0
# Work that is done once for a text, however long it is.
CONSTANT = 100_000


@dataclass
class Count:
    """The work on one text; of a share, one of the two ways."""

    kind: str  # growth or share
    target: str
    shape: str
    amount: int  # bytes of the text, or the share in per cent
    instructions: int


@dataclass
class Share:
    """Two ways of the same work."""

    target: str
    most: int  # per cent
    percent: float

    @property
    def is_too_large(self) -> bool:
        return self.percent > self.most


@dataclass
class Growth:
    """One shape in two lengths."""

    target: str
    shape: str
    short: Count
    long: Count

    @property
    def factor(self) -> float:
        """How many times the work of the short text the long one takes, per four times the length."""
        times = self.long.amount / max(self.short.amount, 1)
        return (self.long.instructions - CONSTANT) / max(self.short.instructions, 1) * 4 / times


def binaries(packages: list[str]) -> list[tuple[Path, Path]]:
    """The test binaries with targets, and the folders in which cargo would run them."""
    selected = [word for package in packages for word in ("--package", package)] or ["--workspace"]
    command = [
        "cargo",
        "test",
        "--locked",
        "--no-run",
        "--message-format=json-render-diagnostics",
        *selected,
    ]
    done = subprocess.run(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    )
    if done.returncode:
        sys.exit("build failed: nothing was counted")
    found = []
    for line in done.stdout.splitlines():
        message = json.loads(line)
        if message["reason"] != "compiler-artifact" or not message.get("executable"):
            continue
        folder = Path(message["manifest_path"]).parent
        sources = (folder / "src").rglob("*.rs")
        if "lib" in message["target"]["kind"] and any(
            call in source.read_text() for source in sources for call in CALLS
        ):
            found.append((Path(message["executable"]), folder))
    return found


def tests(binary: Path, folder: Path) -> list[str]:
    listed = subprocess.run(
        [binary, *MARKS, "--list"], cwd=folder, capture_output=True, text=True, check=True
    )
    return re.findall(r"^(.*): test$", listed.stdout, re.M)


def count(job: tuple[Path, Path, str, str]) -> list[Count]:
    """The counts of one test: callgrind writes a file each time that the counted function returns."""
    binary, folder, test, only = job
    work = WORK / re.sub(r"\W+", "-", test)
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    command = [
        "valgrind",
        "--tool=callgrind",
        "--collect-atstart=no",
        f"--toggle-collect={COUNTED}",
        f"--dump-after={COUNTED}",
        f"--callgrind-out-file={work}/counts",
        str(binary),
        "--exact",
        test,
        "--nocapture",
    ]
    env = os.environ | {"PRECIS_GROWTH": only or "all"}
    done = subprocess.run(
        command, cwd=folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    (work / "log").write_text(done.stdout + done.stderr)
    if done.returncode:
        sys.exit(f"{test} failed: see {work}/log\n{done.stderr[-2000:]}")
    told = re.findall(r"^(growth|share)\t(.*)\t(.*)\t(\d+)$", done.stderr, re.M)
    found = []
    for number, (kind, target, shape, amount) in enumerate(told, 1):
        part = (work / f"counts.{number}").read_text()
        totals = re.search(r"^(?:totals|summary): (\d+)", part, re.M)
        found.append(Count(kind, target, shape, int(amount), int(totals.group(1))))
    shutil.rmtree(work)
    return found


def growths(counts: list[Count]) -> list[Growth]:
    pairs = zip(counts[::2], counts[1::2], strict=True)
    return [
        Growth(short.target, short.shape, short, long)
        for short, long in pairs
        if short.kind == "growth"
    ]


def shares(counts: list[Count]) -> list[Share]:
    pairs = zip(counts[::2], counts[1::2], strict=True)
    return [
        Share(work.target, work.amount, 100 * work.instructions / max(whole.instructions, 1))
        for work, whole in pairs
        if work.kind == "share"
    ]


def report(target: str, growths: list[Growth]) -> None:
    dearest = max(growths, key=lambda growth: growth.long.instructions / growth.long.amount)
    worst = max(growths, key=lambda growth: growth.factor)
    counted = sum(growth.short.instructions + growth.long.instructions for growth in growths)
    print(
        f"{target:24} {len(growths):3} shapes; at most {dearest.long.instructions / dearest.long.amount:,.0f}"
        f" instructions a byte ({dearest.shape}); grows at most {worst.factor:.1f} times ({worst.shape});"
        f" {counted / 1e9:.1f} G instructions counted",
        flush=True,
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="names of targets, by commas")
    parser.add_argument(
        "--package", action="append", default=[], help="only the targets of this crate"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="tests at once")
    arguments = parser.parse_args()
    jobs = [
        (binary, folder, test, arguments.only)
        for binary, folder in binaries(arguments.package)
        for test in tests(binary, folder)
    ]
    begun, found, compared = time.monotonic(), [], []
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for counts in pool.map(count, jobs):
            compared += shares(counts)
            new = growths(counts)
            found += new
            for target in dict.fromkeys(growth.target for growth in new):
                report(target, [growth for growth in found if growth.target == target])
    for share in compared:
        print(f"{share.target}: {share.percent:.1f} % of the instructions, at most {share.most} %")
    too_large = sum(share.is_too_large for share in compared)
    faster = [growth for growth in found if growth.factor > MAX_FACTOR]
    for growth in faster:
        print(
            f"{growth.target}: {growth.shape}: {growth.short.amount:,} bytes take {growth.short.instructions:,}"
            f" instructions, {growth.long.amount:,} bytes {growth.long.instructions:,}: {growth.factor:.1f} times"
        )
    print(
        f"{time.monotonic() - begun:.0f} s\n{len(found) - len(faster)} shapes grow linearly, {len(faster)} faster",
        flush=True,
    )
    if too_large:
        print(f"{too_large} of {len(compared)} take more than their share")
    return 1 if faster or too_large or not found + compared else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
