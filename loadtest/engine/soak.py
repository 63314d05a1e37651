"""`make soak-engine`: whether the engine's memory stays flat. One process summarises the same papers over and over; its memory is read each second.

    python3 loadtest/engine/soak.py [--minutes 60] [--documents 32]

Fails (exit code 1) when the peak exceeds the key-value pool and 350 MiB, or when memory rises: the slope of a straight line through the
samples (least squares) after the warm-up. The warm-up is the first tenth of the time, and at least the first round: the pool's pages
become resident when they are first written. Memory does not depend on speed, so this runs with low priority beside other work.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from prompts import OUT, TARGET, WORK, Papers, tell, write
from usage import Usage

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parents[1] / "tests/harness"))
import servers  # noqa: E402

# What the engine may have besides its pool.
REST_MIB = 350
# A day of it stays well within what is left of that.
SLOPE_MIB_PER_HOUR = 4.0
# A rise of less is the allocator's, however short the time in which it happened.
NOISE_MIB = 1.0
# Shortest time and fewest samples that a line is drawn through.
LEAST_SAMPLES = 20
# More rounds than anybody waits for.
ROUNDS = 1_000_000


@dataclass(frozen=True)
class Verdict:
    """What the samples say."""

    pool_mib: float
    first_mib: float
    last_mib: float
    peak_mib: float
    warm_up_seconds: float
    slope_mib_per_hour: float
    rise_mib: float

    def failures(self, slope_bound: float) -> list[str]:
        found = []
        if self.peak_mib > self.pool_mib + REST_MIB:
            found.append(
                f"the peak, {self.peak_mib:.1f} MiB, exceeds the pool, {self.pool_mib:.1f}, and {REST_MIB}"
            )
        if self.slope_mib_per_hour > slope_bound and self.rise_mib > NOISE_MIB:
            found.append(
                f"memory rises by {self.slope_mib_per_hour:.1f} MiB an hour, more than {slope_bound:g}"
            )
        return found


def judge(
    samples: list[tuple[float, float]], peak_mib: float, pool_mib: float, first_round_ended: float
) -> Verdict:
    """`samples`: (seconds since the start, MiB), in time's order."""
    warm_up = max(samples[-1][0] / 10, first_round_ended)
    steady = [sample for sample in samples if sample[0] >= warm_up]
    if len(steady) < LEAST_SAMPLES:
        raise SystemExit(
            f"only {len(steady)} samples after {warm_up:.0f} s of warm-up: take more --minutes or fewer --documents"
        )
    times, sizes = zip(*steady)
    slope = statistics.linear_regression(times, sizes).slope
    return Verdict(
        pool_mib,
        steady[0][1],
        steady[-1][1],
        peak_mib,
        warm_up,
        slope * 3600,
        slope * (times[-1] - times[0]),
    )


def soak(
    command: list[str], seconds: float, output: Path
) -> tuple[list[tuple[float, float]], float, float]:
    """Runs the command for so long; (samples, peak, when the first round had ended)."""
    samples, peak, first_round = [], 0.0, None
    with output.open("wb") as stdout:
        process = subprocess.Popen(command, stdout=stdout, preexec_fn=servers.end_with_parent)
    try:
        began = time.monotonic()
        while (now := time.monotonic() - began) < seconds:
            if process.poll() is not None:
                raise SystemExit(f"the process ended with {process.returncode} after {now:.0f} s")
            usage = Usage.of(process.pid)
            samples.append((now, usage.rss_mib))
            peak = usage.peak_rss_mib
            if first_round is None and output.stat().st_size:
                first_round = now
                tell(f"the first round took {now:.0f} s; {usage.rss_mib:.1f} MiB")
            time.sleep(max(0.0, began + len(samples) - time.monotonic()))
    finally:
        stop(process)
    if first_round is None:
        raise SystemExit(
            f"no round ended in {seconds:.0f} s: take more --minutes or fewer --documents"
        )
    return samples, peak, first_round


def stop(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Runs the engine for a long time and fails when its memory grows."
    )
    parser.add_argument("--precis", type=Path, default=TARGET / "release/precis")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--documents", type=int, default=32, help="how many of the 112 papers")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--new-tokens", type=int, default=128)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument(
        "--slope", type=float, default=SLOPE_MIB_PER_HOUR, help="MiB an hour that are allowed"
    )
    parser.add_argument("--nice", type=int, default=10)
    options = parser.parse_args()
    servers.terminate_on_signals()
    os.nice(options.nice)
    folder = WORK / "soak"
    prompts = write(
        Papers.load(options.precis, folder).sample(options.documents).prompts,
        folder / "documents.ids",
    )
    OUT.mkdir(parents=True, exist_ok=True)
    stamp = f"soak-{datetime.now():%Y%m%d-%H%M%S}"
    # Answers of different lengths, as in service: sequences join and leave all the time.
    command = [
        options.precis,
        "bench",
        "--scenario",
        "documents",
        "--prompts",
        prompts,
        "--natural",
        "--batch",
        options.batch,
        "--json",
        "--new-tokens",
        options.new_tokens,
        "--threads",
        options.threads,
        "--rounds",
        ROUNDS,
    ]
    output = OUT / f"{stamp}.jsonl"
    samples, peak, first_round = soak([str(part) for part in command], options.minutes * 60, output)
    (OUT / f"{stamp}.csv").write_text(
        "seconds,mib\n" + "".join(f"{second:.1f},{mib:.2f}\n" for second, mib in samples)
    )
    rounds = [json.loads(line) for line in output.read_text().splitlines() if line.endswith("}")]
    verdict = judge(samples, peak, rounds[0]["kv_bytes"] / 2**20, first_round)
    documents = sum(found["measured"]["documents"] for found in rounds)
    print(
        f"{len(rounds)} rounds, {documents} documents, {samples[-1][0] / 60:.1f} minutes, {len(samples)} samples. "
        f"Pool {verdict.pool_mib:.1f} MiB. After {verdict.warm_up_seconds:.0f} s of warm-up: first {verdict.first_mib:.1f}, last {verdict.last_mib:.1f}, "
        f"peak of all {verdict.peak_mib:.1f} = pool + {verdict.peak_mib - verdict.pool_mib:.1f} MiB; "
        f"slope {verdict.slope_mib_per_hour:+.2f} MiB an hour ({verdict.rise_mib:+.2f} MiB in all)."
    )
    tell(f"kept in {OUT}/{stamp}.csv and .jsonl")
    if failures := verdict.failures(options.slope):
        sys.exit("failed: " + "; ".join(failures))


if __name__ == "__main__":
    main()
