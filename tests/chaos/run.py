"""`make chaos`: the real services on real Kafka and S3 under a seeded plan of faults, held against the oracle.

    python3 tests/chaos/run.py [--minutes 4] [--documents N] [--seed S] [--services gpu,api] [--store s3|directory] [--real-model]

The seed is printed first; `--seed`, or SEED in the environment, makes the same plan again. Exit code 0: the guarantee held and enough
went wrong to say so. 1: findings. 2: the run is void, since something that it promised did not happen. Reports, and for a run that
did not go well all logs, are under `$CARGO_TARGET_DIR/chaos-report/`.
"""

import argparse
import os
import resource
import shutil
import sys
import tempfile
import time
import traceback
from itertools import chain
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
ROOT = TESTS.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
sys.path[:0] = [str(TESTS / folder) for folder in ("chaos", "harness", "e2e")]

import provision  # noqa: E402
import servers  # noqa: E402

BINARIES = ("precis-router", "precis-gpu-worker", "precis-api-worker")
PER_SECOND = 5.0
# The real model is slow on a processor: it gets few documents and no more than this many a second.
PER_SECOND_REAL = 0.5
# What `--without` calls the operator who makes a topic again.
RECREATE = "recreate"
# What `--without` calls the tenant that means harm.
HOSTILE = "hostile"


def in_environment() -> None:
    """Goes on with the tests' own Python, which has the clients."""
    python = provision.python_environment() / "bin" / "python"
    if Path(sys.prefix) != python.parents[1]:
        os.execv(python, [str(python), *sys.argv])


def build() -> None:
    """The chaos build of the services, beside the normal one: its binaries are copied away before another build takes their place."""
    features = ",".join(f"{binary}/chaos" for binary in BINARIES)
    env = os.environ | {"CARGO_TARGET_DIR": str(TARGET)}
    # Of the whole workspace and, by `--examples` (there are none), with the features of the tests: otherwise every
    # dependency is built again.
    command = ["cargo", "build", "--locked", "--workspace", "--bins", "--examples"]
    if code := servers.run_and_wait([*command, "--features", features], env, cwd=ROOT):
        sys.exit(code)
    (TARGET / "chaos").mkdir(exist_ok=True)
    for binary in BINARIES:
        fresh = TARGET / "chaos" / f".{binary}"
        shutil.copy2(TARGET / "debug" / binary, fresh)
        fresh.rename(TARGET / "chaos" / binary)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=4)
    parser.add_argument("--documents", type=int, help="default: 5 a second")
    parser.add_argument(
        "--seed", type=int, default=int(os.environ.get("SEED") or int.from_bytes(os.urandom(3)))
    )
    parser.add_argument("--services", default="gpu,api", help="tiers with a worker")
    parser.add_argument("--store", choices=["s3", "directory"], default="s3")
    parser.add_argument(
        "--real-model",
        action="store_true",
        help="the default model instead of the backend of unique answers",
    )
    parser.add_argument(
        "--killers",
        type=int,
        default=0,
        help="documents that kill the process which summarises them",
    )
    parser.add_argument(
        "--without", default="", help="kinds or channels of faults to leave out; recreate, hostile"
    )
    parser.add_argument(
        "--controls", nargs="*", metavar="NAME", help="the negative controls instead: all, or these"
    )
    parser.add_argument("--no-build", action="store_true", help="take the binaries as they are")
    parser.add_argument("--profile", default="chaos", help="whose binaries run")
    return parser.parse_args()


def main() -> int:
    given = arguments()
    servers.terminate_on_signals()
    # A failpoint ends its process by SIGABRT, hundreds of times.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if not given.no_build:
        build()
    if given.controls is not None:
        import controls

        return controls.run(given.controls, given.seed, given.profile, attempt)
    import plan
    from arena import Options
    from campaign import Campaign
    from publisher import SHARES

    tiers = tuple(given.services.split(","))
    without = frozenset(filter(None, given.without.split(",")))
    if given.store == "directory":
        without |= {"s3"}
    if "api" not in tiers:
        without |= {"provider"}
    options = Options(given.seed, tiers, given.store, given.real_model, given.profile)
    faults = plan.plan(given.seed, given.minutes, options.services, without)
    print(
        f"seed {given.seed}: {len(faults)} faults in {given.minutes:g} minutes",
        *(fault.line() for fault in faults),
        sep="\n",
        flush=True,
    )
    per_second = PER_SECOND_REAL if given.real_model else PER_SECOND
    # Without an internal tier a restricted document has nowhere to go.
    shares = {
        kind: share for kind, share in SHARES.items() if "gpu" in tiers or kind != "restricted"
    }
    full = (
        given.minutes >= 2
        and tiers == ("gpu", "api")
        and not (given.real_model or without - {"s3", RECREATE, HOSTILE})
        and given.store == "s3"
    )
    campaign = Campaign(
        options,
        faults,
        given.minutes * 60,
        given.documents or int(given.minutes * 60 * per_second),
        shares,
        full,
        killers=given.killers,
        recreates=RECREATE not in without,
        hostile=HOSTILE not in without,
    )
    report = attempt(campaign, f"seed-{given.seed}")
    return 1 if report.findings or report.error else 2 if report.missing else 0


def attempt(campaign, name: str):
    """Runs a campaign, prints and keeps its report; what breaks the harness itself is a failure of the run."""
    import report as reports
    from campaign import Report, run

    folder = Path(tempfile.mkdtemp(prefix="precis-chaos-"))
    kept = TARGET / "chaos-report" / name
    shutil.rmtree(kept, ignore_errors=True)
    begun = time.monotonic()
    try:
        report = run(
            campaign,
            folder,
            lambda line: print(f"[{time.monotonic() - begun:6.1f}] {line}", flush=True),
        )
    except (Exception, SystemExit):
        report = Report(campaign, error=traceback.format_exc())
    print(reports.text(report), flush=True)
    reports.write(report, kept)
    if not report.good:
        for log in [*folder.glob("*.log"), *folder.glob("*/log.txt"), *folder.glob("*.toml")]:
            shutil.copy2(log, kept / log.relative_to(folder).as_posix().replace("/", "-"))
        # What transactions and offsets went through, for Kafka's own DumpLogSegments.
        for part in chain.from_iterable(
            folder.glob(f"*/data/{topic}-*")
            for topic in ("__consumer_offsets", "__transaction_state")
        ):
            shutil.copytree(part, kept / part.name)
        print(f"logs are in {kept}, with Kafka's own topics", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    return report


if __name__ == "__main__":
    in_environment()
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
