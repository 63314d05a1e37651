"""`make test`: builds, runs every test, adds up the totals.

    python3 tests/harness/run.py [--only rust|kafka|protocol|e2e] [-- arguments for cargo's test binaries or for pytest]

The servers that the Rust tests need run only as long as those; the end-to-end tests start, wipe and stop their own.
All suites always run, so that one run shows every failure. The log's contract on Kafka, with each of the two group protocols,
runs beside the end-to-end tests, since all of them mostly wait; its output follows. The last line is `N passed, N failed`; the exit
code is 0 only when nothing failed, nothing was skipped and every runner itself ended well.
"""

import argparse
import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import provision  # noqa: E402
import servers  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
# Tests on what nothing here brings, a larger model or a GPU: docs/develop/testing.md says how to run them.
ON_OTHER_MACHINES = ("testing::qwen", "bits_of_qwen", "on_a_gpu")
# In the names of the log's contract tests on Kafka, which wait more than they compute.
ON_KAFKA = "on_kafka"
# So many end-to-end tests run at once, each in a process with servers of its own.
E2E_AT_ONCE = 2
CARGO_RESULT = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored;")


@dataclass
class Totals:
    """What one suite, or all of them, came to. A skipped test proves nothing, so it does not count as passed."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: "Totals") -> "Totals":
        return Totals(
            self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped
        )


def say(text: str) -> None:
    print(f"\n== {text}", flush=True)


def build(env: dict[str, str]) -> None:
    """Everything the suites run, before any server waits for it."""
    say("build")
    for command in (
        # `--examples` (there are none) asks for the features that the tests have: without it every
        # dependency is built twice.
        ["cargo", "build", "--locked", "--workspace", "--bins", "--examples"],
        ["cargo", "test", "--locked", "--workspace", "--no-run"],
    ):
        if servers.run_and_wait(command, env, cwd=ROOT):
            print("\nbuild failed: no test ran\n0 passed, 1 failed", flush=True)
            sys.exit(1)


def pull_model(env: dict[str, str]) -> None:
    """The default model, fetched once and verified; without it the tests that generate fail and say so."""
    say("model")
    servers.run_and_wait([str(TARGET / "debug" / "precis"), "models", "pull"], env, cwd=ROOT)


def rust_tests(env: dict[str, str], extra: list[str]) -> Totals:
    say("unit and contract tests")
    # Those that somebody names run here, wherever they are.
    left_out = ON_OTHER_MACHINES if extra else (*ON_OTHER_MACHINES, ON_KAFKA)
    return cargo_tests(
        [
            "--workspace",
            "--no-fail-fast",
            "--",
            "--include-ignored",
            *(word for name in left_out for word in ("--skip", name)),
            *extra,
        ],
        list(servers.KINDS),
        env,
    )


def kafka_tests(env: dict[str, str], extra: list[str]) -> Totals:
    say("contract tests on Kafka")
    # Of the whole workspace, so that no dependency is built again with other features.
    arguments = ["--workspace", "--test", "contract", "--", "--ignored", *(extra or [ON_KAFKA])]
    return cargo_tests(arguments, ["kafka"], env)


def protocol_tests(env: dict[str, str], extra: list[str]) -> Totals:
    """The same with the groups' newer protocol (KIP-848)."""
    return kafka_tests(env | {"PRECIS_TEST_GROUP_PROTOCOL": "consumer"}, extra)


def cargo_tests(arguments: list[str], kinds: list[str], env: dict[str, str]) -> Totals:
    command = ["cargo", "test", "--locked", *arguments]
    totals = Totals()
    try:
        with servers.running(kinds) as started:
            env = env | servers.environment(started)
            with servers.child(
                command, env, cwd=ROOT, stdout=subprocess.PIPE, text=True, errors="replace"
            ) as process:
                for line in process.stdout:
                    print(line, end="", flush=True)
                    if found := CARGO_RESULT.match(line):
                        totals += Totals(*map(int, found.groups()))
    except servers.ServerFailed as error:
        print(error, file=sys.stderr)
        return totals + Totals(failed=1)
    return ended(process.returncode, totals)


def end_to_end_tests(env: dict[str, str], extra: list[str]) -> Totals:
    say("end-to-end tests")
    python = provision.python_environment() / "bin" / "python"
    with tempfile.TemporaryDirectory(prefix="precis-report-") as folder:
        report = Path(folder) / "report.xml"
        command = [
            str(python),
            "-m",
            "pytest",
            "tests/e2e",
            "tests/chaos",
            "loadtest",
            f"--numprocesses={E2E_AT_ONCE}",
            "--durations=10",
            f"--junit-xml={report}",
            *extra,
        ]
        code = servers.run_and_wait(command, env, cwd=ROOT)
        totals = Totals()
        if report.exists():
            for suite in ElementTree.parse(report).getroot().iter("testsuite"):
                count = {
                    key: int(suite.get(key, 0))
                    for key in ("tests", "failures", "errors", "skipped")
                }
                failed = count["failures"] + count["errors"]
                totals += Totals(
                    count["tests"] - failed - count["skipped"], failed, count["skipped"]
                )
    return ended(code, totals)


def ended(code: int, totals: Totals) -> Totals:
    """A runner that ended badly without naming a failure (a crash, a signal) is one failure."""
    return totals + Totals(failed=1) if code and not totals.failed else totals


SUITES = {
    "rust": rust_tests,
    "kafka": kafka_tests,
    "protocol": protocol_tests,
    "e2e": end_to_end_tests,
}


@contextlib.contextmanager
def in_background(names: list[str], env: dict[str, str], extra: list[str]):
    """Runs suites in a process of their own, one after the other; yields what waits for them, shows their output and returns
    the totals and seconds of each."""
    selected = [word for name in names for word in ("--only", name)]
    command = [sys.executable, __file__, *selected, "--", *extra]
    with (
        tempfile.TemporaryFile("w+", errors="replace") as output,
        servers.child(command, env, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT) as process,
    ):

        def wait() -> dict[str, tuple[Totals, float]]:
            code = process.wait()
            output.seek(0)
            text = output.read()
            print(text, flush=True)
            told = re.findall(
                r"^(\w+): (\d+) passed, (\d+) failed, (\d+) skipped, (\d+) s$", text, re.MULTILINE
            )
            results = {
                name: (Totals(*map(int, counts)), float(took)) for name, *counts, took in told
            }
            missing = {name: (Totals(failed=1), 0.0) for name in names if name not in results}
            if code and not missing and not any(totals.failed for totals, _ in results.values()):
                last, took = results[names[-1]]
                results[names[-1]] = (ended(code, last), took)
            return results | missing

        yield wait


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", choices=SUITES, action="append", help="run this suite, and others so named"
    )
    parser.add_argument("extra", nargs="*", help="arguments for the test runners, after --")
    arguments = parser.parse_args()
    servers.terminate_on_signals()
    env = servers.environment({}) | {"CARGO_TARGET_DIR": str(TARGET), "RUST_BACKTRACE": "1"}
    build(env)
    pull_model(env)
    results, seconds = {}, {}

    def run(name: str) -> None:
        begun = time.monotonic()
        results[name] = SUITES[name](env, arguments.extra)
        seconds[name] = time.monotonic() - begun

    if arguments.only:
        for name in arguments.only:
            run(name)
    else:
        run("rust")
        with in_background(["kafka", "protocol"], env, arguments.extra) as others:
            run("e2e")
            for name, (totals, took) in others().items():
                results[name], seconds[name] = totals, took
    say("totals")
    for name, totals in results.items():
        print(
            f"{name}: {totals.passed} passed, {totals.failed} failed, {totals.skipped} skipped, {seconds[name]:.0f} s"
        )
    total = sum(results.values(), Totals())
    if total.skipped:
        print(f"{total.skipped} skipped: a run with skipped tests is not a green run")
    print(f"{total.passed} passed, {total.failed} failed", flush=True)
    return 1 if total.failed or total.skipped or not total.passed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
