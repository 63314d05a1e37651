"""Back-pressure: documents queued on Kafka in front of a slow worker. Memory must stay flat, lag must be told, SIGTERM must drain.

    python3 loadtest/pressure.py [--documents 100000] [--max-backlog 1000] [--profile release]      needs what `make test` needs

Prints one line of JSON. The provider is a stand-in that takes a second for each answer, so that nearly all documents still wait when the
services are told to stop: all but the tier's limit before the router, in `documents`; with `--max-backlog 0` all of them before the worker. The
store is a directory: the test's S3 server would be what is measured. Exit code 1 when

- router or worker use more than twice the memory that they used ten seconds after the last of the first thousand documents came;
- `precis status` tells the worker a lag beyond the tier's limit and what the router may have let in besides; or, without a limit, the
  router one beyond a transaction marker a partition when it has routed everything;
- one of the two does not end with code 0 within its drain budget after SIGTERM.
"""

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path += [str(TESTS / "harness"), str(TESTS / "e2e")]

import provision  # noqa: E402

if Path(sys.prefix) != provision.python_environment():
    python = str(provision.python_environment() / "bin" / "python")
    os.execv(python, [python, __file__, *sys.argv[1:]])

import notes  # noqa: E402
import servers  # noqa: E402
from deployment import API, PERMISSIVE, Deployment, KafkaDeployment  # noqa: E402
from kafka import KafkaLog  # noqa: E402
from stand_in import StandIn  # noqa: E402
from stores import DirectoryStore  # noqa: E402

ANSWER_SECONDS = 1.0
# The api-worker's own default, and the router's.
DRAIN_SECONDS = {"api-worker": 120, "router": 30}
SETTLE_SECONDS = 10
# How long the services are watched with everything queued before them.
WATCH_SECONDS = 60
# What the router has in process at once by default.
IN_PROCESS = 256
TIMEOUT_SECONDS = 3600


def provider() -> StandIn:
    """A provider that thinks for a second."""
    return StandIn(notes.ANSWER, ANSWER_SECONDS)


class PressureDeployment(KafkaDeployment):
    """Kafka and a directory."""

    def __init__(
        self, folder: Path, kafka: KafkaLog, provider: StandIn, profile: str, max_backlog: int
    ):
        Deployment.__init__(
            self,
            folder,
            [replace(API, max_backlog=max_backlog)],
            llmock=provider,
            checks=PERMISSIVE,
        )
        self.max_backlog = max_backlog
        self.kafka, self.store, self.profile = kafka, DirectoryStore(folder / "objects"), profile

    def store_settings(self) -> dict:
        return {"kind": "directory", "directory": {"path": str(self.store.folder)}}

    def lag(self, group: str) -> int:
        groups = json.loads(self.cli("status", "--json").stdout)["groups"]
        return sum(found["lag"] for found in groups if found["group"] == group)


def rss_mib(pid: int) -> float:
    line = next(
        line
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("VmRSS")
    )
    return int(line.split()[1]) / 1024


class Memory(threading.Thread):
    """Resident memory of the services, every second."""

    def __init__(self, pids: dict[str, int]):
        super().__init__(daemon=True)
        self.pids, self.samples, self.over = pids, {name: [] for name in pids}, threading.Event()

    def run(self) -> None:
        while not self.over.wait(1):
            for name, pid in self.pids.items():
                self.samples[name].append((time.monotonic(), rss_mib(pid)))

    def figures(self, since: float) -> dict[str, dict[str, float]]:
        """At `since`, and the most after it."""
        result = {}
        for name, samples in self.samples.items():
            after = [mib for at, mib in samples if at >= since]
            result[name] = {"at_10_s_mib": round(after[0], 1), "max_mib": round(max(after), 1)}
        return result


def measure(deployment: PressureDeployment, documents: int) -> dict:
    router, worker = deployment.start("precis-router"), deployment.start("precis-api-worker")
    idle = {group: deployment.lag(group) for group in ("precis.router", "precis.work.api")}
    memory = Memory({"router": router.pid, "api-worker": worker.pid})
    memory.start()
    deployment.publish([note(number) for number in range(1000)])
    time.sleep(SETTLE_SECONDS)
    warm, began = time.monotonic(), time.monotonic()
    for first in range(1000, documents, 10_000):
        deployment.publish(
            [note(number) for number in range(first, min(first + 10_000, documents))]
        )
    published = time.monotonic() - began
    routed = None
    if deployment.max_backlog:
        time.sleep(WATCH_SECONDS)
    else:
        wait_until_routed(deployment)
        routed = round(time.monotonic() - began, 1)
        time.sleep(SETTLE_SECONDS)
    queued = {group: deployment.lag(group) for group in ("precis.router", "precis.work.api")}
    memory.over.set()
    memory.join()
    drained = {}
    for name, service in (("api-worker", worker), ("router", router)):
        stopped = time.monotonic()
        code = service.terminate()
        drained[name] = {
            "seconds": round(time.monotonic() - stopped, 1),
            "budget_seconds": DRAIN_SECONDS[name],
            "exit_code": code,
        }
    return {
        "documents": documents,
        "published_seconds": round(published, 1),
        "routed_seconds": routed,
        "memory": memory.figures(warm),
        "lag_idle_before": idle,
        "lag": queued,
        "max_backlog": deployment.max_backlog,
        "drain": drained,
    }


def wait_until_routed(deployment: PressureDeployment) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while (behind := deployment.lag("precis.router")) > 4:
        assert time.monotonic() < deadline, (
            f"the router is {behind} behind after {TIMEOUT_SECONDS} s"
        )
        time.sleep(2)


def note(number: int) -> dict:
    # Notes are different up to 10,000; a number makes them so beyond.
    return notes.note(
        number % 10_000,
        document_id=f"queued-{number}",
        text=f"{notes.text(number % 10_000)} Number {number}.",
    )


def problems(found: dict) -> list[str]:
    grown = [
        f"{name}: {mib['max_mib']} MiB after {mib['at_10_s_mib']}"
        for name, mib in found["memory"].items()
        if mib["max_mib"] > 2 * mib["at_10_s_mib"]
    ]
    late = [
        f"{name}: {end}"
        for name, end in found["drain"].items()
        if end["exit_code"] or end["seconds"] > end["budget_seconds"]
    ]
    lag = (
        [f"lag: {found['lag_idle_before']} before anything was published"]
        if any(found["lag_idle_before"].values())
        else []
    )
    if found["max_backlog"] and found["lag"]["precis.work.api"] > found["max_backlog"] + IN_PROCESS:
        lag.append(f"lag: {found['lag']} with a limit of {found['max_backlog']}")
    return grown + late + lag


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Measures memory, lag and drain under a long queue."
    )
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--max-backlog", type=int, default=1_000)
    parser.add_argument("--profile", default="release", choices=["release", "debug"])
    options = parser.parse_args()
    servers.terminate_on_signals()
    with (
        tempfile.TemporaryDirectory(prefix="precis-pressure-") as folder,
        servers.running(["kafka"]) as started,
    ):
        kafka = KafkaLog(f"{servers.LOOPBACK}:{started['kafka'].port}")
        deployment = PressureDeployment(
            Path(folder), kafka, provider(), options.profile, options.max_backlog
        )
        try:
            found = measure(deployment, options.documents)
        except BaseException:
            print(deployment.logs(), file=sys.stderr)
            raise
        finally:
            deployment.close()
            kafka.close()
    print(json.dumps(found, indent=1))
    for problem in problems(found):
        print(problem, file=sys.stderr)
    return 1 if problems(found) else 0


if __name__ == "__main__":
    sys.exit(main())
