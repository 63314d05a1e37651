"""`make bench-router`: the router on Apache Kafka beside a raw transactional loop of librdkafka and Redpanda Connect, in alternating rounds. See
../README.md.

Everything runs here: a broker of the tests' harness, and one subject at a time. A subject reads a topic that was filled before it starts, so
that the publisher takes nothing from it; what came out is read when it has ended, and must be every document once.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path += [str(ROOT / "tests/harness"), str(ROOT / "tests/e2e"), str(HERE.parent / "engine")]
import provision  # noqa: E402

TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
OUT = TARGET / "bench-router"
# The router's own: see `TRANSACTION_LIMIT` in flow and `commit_interval_ms` of the stage.
TRANSACTION_RECORDS = 4000
TRANSACTION_BYTES = 16 * 1024 * 1024
COMMIT_INTERVAL_MS = 200
PARTITIONS = 4
COMPRESSION = "zstd"
TIMEOUT_SECONDS = 300
# Load average above which others use the machine.
BUSY = 0.7


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__" and sys.prefix != str(provision.python_environment()):
    # The clients of Kafka are in the tests' Python environment.
    python = str(provision.python_environment() / "bin/python")
    os.execv(python, [python, __file__, *sys.argv[1:]])

import connect  # noqa: E402
import servers  # noqa: E402
from confluent_kafka import Consumer, KafkaException, TopicPartition  # noqa: E402
from confluent_kafka.admin import NewTopic  # noqa: E402
from deployment import Deployment, KafkaDeployment, Tier  # noqa: E402
from kafka import KafkaLog  # noqa: E402
from stores import DirectoryStore  # noqa: E402
from usage import Usage  # noqa: E402


class RouterDeployment(KafkaDeployment):
    """Kafka with the services' own settings, a directory, the release binary, one tier."""

    profile = "release"

    def __init__(self, folder: Path, kafka: KafkaLog, tenant: str, tier: str, cache: bool):
        # No worker works off what it routes: without a limit it routes all.
        Deployment.__init__(self, folder, [Tier(tier, "gpu", max_backlog=0)], key=None)
        self.kafka, self.tenant = kafka, tenant
        self.store = DirectoryStore(folder / "objects")
        self.policy_file.write_text(
            self.policy_file.read_text() + f"\n[cache]\nexact = {str(cache).lower()}\n"
        )

    def log_settings(self, instance: str) -> dict:
        return {
            "kind": "kafka",
            "kafka": {
                "brokers": self.kafka.brokers,
                "client_id": f"bench-{instance}",
                "compression": COMPRESSION,
            },
        }

    def store_settings(self) -> dict:
        return {"kind": "directory", "directory": {"path": str(self.store.folder)}}

    def service_settings(self) -> dict:
        return {"topics": {"tenants": [self.tenant], "partitions": PARTITIONS}}


class Bench:
    """A broker, its clients, and what was measured."""

    def __init__(self, folder: Path, kafka: KafkaLog, program: Path):
        self.folder, self.kafka, self.program = folder, kafka, program
        self.runs = 0

    def tool(self, command: str, **options) -> subprocess.Popen:
        words = [
            part
            for name, value in options.items()
            for part in (f"--{name.replace('_', '-')}", str(value))
        ]
        return subprocess.Popen(
            [str(self.program), command, "--brokers", self.kafka.brokers, *words],
            stdout=subprocess.PIPE,
            preexec_fn=servers.end_with_parent,
        )

    def answer(self, command: str, **options) -> dict:
        process = self.tool(command, **options)
        out, _ = process.communicate(timeout=TIMEOUT_SECONDS)
        if process.returncode:
            raise RuntimeError(f"{command} ended with {process.returncode}")
        return json.loads(out)

    def create(self, topic: str) -> str:
        self.kafka.admin.create_topics(
            [NewTopic(topic, PARTITIONS, 1, config={"max.message.bytes": "2097152"})]
        )[topic].result()
        return topic

    def delete(self, *topics: str) -> None:
        for future in self.kafka.admin.delete_topics(list(topics), operation_timeout=30).values():
            future.result()

    def wait_for_commits(self, group: str, topic: str, records: int) -> None:
        """Returns when the group has committed all of the topic."""
        consumer = Consumer({"bootstrap.servers": self.kafka.brokers, "group.id": group})
        asked = [TopicPartition(topic, partition) for partition in range(PARTITIONS)]
        deadline = time.monotonic() + TIMEOUT_SECONDS
        try:
            committed = 0
            while committed < records:
                # A coordinator that still loads its topic says so: it is asked again.
                with contextlib.suppress(KafkaException):
                    committed = sum(
                        max(found.offset, 0) for found in consumer.committed(asked, timeout=30)
                    )
                if time.monotonic() > deadline:
                    raise RuntimeError(f"{group} did not finish {topic} in {TIMEOUT_SECONDS} s")
                time.sleep(0.1)
        finally:
            consumer.close()


class Subject:
    """What is measured: `start` it on a topic, `stop` it, and read `output`."""

    def __init__(self, bench: Bench, tenant: str):
        bench.runs += 1
        self.bench, self.tenant, self.number = bench, tenant, bench.runs
        self.input = f"documents.{tenant}"

    def logs(self) -> str:
        return ""


class Router(Subject):
    """The release binary of the router, on an empty store; with or without the lookup in the exact cache."""

    cache = False
    group = "precis.router"

    def start(self) -> int:
        tier = f"tier{self.number}"
        folder = self.bench.folder / tier
        folder.mkdir()
        self.deployment = RouterDeployment(folder, self.bench.kafka, self.tenant, tier, self.cache)
        self.output = f"work.{tier}"
        return self.deployment.start("precis-router").pid

    def stop(self) -> None:
        self.deployment.drain()
        self.bench.kafka.admin.delete_consumer_groups([self.group])[self.group].result()

    def logs(self) -> str:
        return self.deployment.logs()


class CachedRouter(Router):
    cache = True


class Raw(Subject):
    """The raw loop; `forwarded` documents as they are."""

    def start(self) -> int:
        self.group = f"raw-{self.number}"
        self.output = self.bench.create(f"raw.{self.number}")
        self.process = self.bench.tool(
            "raw",
            input=self.input,
            output=self.output,
            group=self.group,
            records=TRANSACTION_RECORDS,
            bytes=TRANSACTION_BYTES,
            interval_ms=COMMIT_INTERVAL_MS,
            compression=COMPRESSION,
        )
        return self.process.pid

    def stop(self) -> None:
        self.process.terminate()
        self.process.communicate()


class Connect(Subject):
    """Redpanda Connect, from topic to topic without exactly-once."""

    def start(self) -> int:
        self.group = f"connect-{self.number}"
        self.output = self.bench.create(f"connect.{self.number}")
        file, self.log = (
            self.bench.folder / f"{self.group}.json",
            self.bench.folder / f"{self.group}.log",
        )
        file.write_text(
            connect.configuration(
                self.bench.kafka.brokers, self.input, self.output, self.group, COMPRESSION
            )
        )
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [str(connect.program()), "-c", str(file)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=servers.end_with_parent,
            )
        return self.process.pid

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()

    def logs(self) -> str:
        return self.log.read_text(errors="replace")


SUBJECTS = {"raw": Raw, "router": Router, "router, exact cache": CachedRouter, "connect": Connect}


def throughput(bench: Bench, kind: type[Subject], tenant: str, records: int) -> dict:
    subject = kind(bench, tenant)
    pid = subject.start()
    try:
        bench.wait_for_commits(subject.group, subject.input, records)
        usage = Usage.of(pid)
    finally:
        subject.stop()
    found = bench.answer("count", topic=subject.output, records=records)
    bench.delete(subject.output)
    wrong = {name: found[name] for name in ("missing", "repeated", "unknown") if found[name]}
    if wrong or found["records"] != records:
        raise RuntimeError(
            f"{subject.output}: {found['records']} of {records} records, {wrong}\n{subject.logs()}"
        )
    return {
        "rate": records / found["seconds"],
        "seconds": found["seconds"],
        "cpu_seconds_per_million": usage.cpu_seconds / records * 1e6,
        "peak_rss_mib": usage.peak_rss_mib,
        "output_bytes": found["bytes"] / records,
    }


def latency(bench: Bench, kind: type[Subject], size: int, rate: float, seconds: float) -> dict:
    tenant = f"paced{bench.runs}"
    bench.create(f"documents.{tenant}")
    subject = kind(bench, tenant)
    subject.start()
    records = int(rate * seconds)
    try:
        # A group without members takes its first one at once: what is left is clients that connect.
        time.sleep(3)
        reader = bench.tool("latency", topic=subject.output, records=records)
        time.sleep(1)
        bench.answer("fill", topic=subject.input, records=records, bytes=size, rate=rate)
        out, _ = reader.communicate(timeout=TIMEOUT_SECONDS)
    finally:
        subject.stop()
    bench.delete(subject.input, subject.output)
    return json.loads(out)


def measure(bench: Bench, size: int, records: int, options: argparse.Namespace) -> dict:
    """Alternating rounds at one size of document."""
    found: dict[str, dict[str, list]] = {
        name: {"throughput": [], "latency": []} for name in options.subjects
    }
    tenant = f"full{size}"
    bench.create(f"documents.{tenant}")
    bench.answer("fill", topic=f"documents.{tenant}", records=records, bytes=size)
    for number in range(1, options.rounds + 1):
        for name in options.subjects:
            result = throughput(bench, SUBJECTS[name], tenant, records)
            found[name]["throughput"].append(result)
            tell(
                f"{size} bytes, round {number}: {name}: {result['rate']:,.0f}/s, {result['cpu_seconds_per_million']:.0f} CPU s/million, {result['peak_rss_mib']:.0f} MiB"
            )
    bench.delete(f"documents.{tenant}")
    if not options.seconds:
        return found
    slowest = min(
        statistics.median(run["rate"] for run in found[name]["throughput"])
        for name in options.subjects
    )
    rate = options.load * slowest
    for number in range(1, options.latency_rounds + 1):
        for name in options.subjects:
            result = latency(bench, SUBJECTS[name], size, rate, options.seconds) | {"rate": rate}
            found[name]["latency"].append(result)
            tell(
                f"{size} bytes, round {number}: {name} at {rate:,.0f}/s: p50 {result['p50_ms']:.0f} ms, p99 {result['p99_ms']:.0f} ms"
            )
    return found


def table(found: dict[int, dict]) -> str:
    lines = [
        "| documents | subject | messages/s | to raw, same round | CPU s/million | peak memory, MiB | output, bytes | at, messages/s | p50, ms | p99, ms |",
        "| --- | --- | " + "---: | " * 8,
    ]
    for size, subjects in found.items():
        for name, runs in subjects.items():
            median = lambda key, kind="throughput": (
                statistics.median(run[key] for run in runs[kind]) if runs[kind] else float("nan")
            )
            ratio = "–"
            if "raw" in subjects and name != "raw":
                pairs = zip(runs["throughput"], subjects["raw"]["throughput"])
                ratio = (
                    f"**{statistics.median(own['rate'] / raw['rate'] for own, raw in pairs):.0%}**"
                )
            lines.append(
                f"| {size} bytes | {name} | {median('rate'):,.0f} | {ratio} | {median('cpu_seconds_per_million'):.0f} | {median('peak_rss_mib'):.0f} | {median('output_bytes'):,.0f} "
                f"| {median('rate', 'latency'):,.0f} | {median('p50_ms', 'latency'):.0f} | {median('p99_ms', 'latency'):.0f} |"
            )
    return "\n".join(lines) + "\n"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--latency-rounds", type=int, default=2)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1024, 10240], metavar="BYTES")
    parser.add_argument(
        "--megabytes",
        type=int,
        default=200,
        help="how much is preloaded of each size (default: %(default)s)",
    )
    parser.add_argument(
        "--load",
        type=float,
        default=0.3,
        help="rate of the latency runs, share of the slowest subject's throughput",
    )
    parser.add_argument(
        "--seconds", type=float, default=10, help="length of a latency run; 0: none"
    )
    parser.add_argument("--subjects", nargs="+", choices=list(SUBJECTS), default=list(SUBJECTS))
    parser.add_argument(
        "--quick", action="store_true", help="a smoke run: whether all works, no figures to quote"
    )
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.latency_rounds, options.megabytes, options.seconds = 1, 1, 10, 3
    return options


def main() -> None:
    options = parse()
    load = os.getloadavg()[0]
    if load > BUSY:
        tell(
            f"warning: the load average is {load:.1f}; only an idle machine gives figures worth quoting"
        )
    if "connect" in options.subjects and connect.program() is None:
        tell("no Redpanda Connect: there is no Go here, or its module proxy cannot be reached")
        options.subjects.remove("connect")
    OUT.mkdir(parents=True, exist_ok=True)
    servers.terminate_on_signals()
    with (
        tempfile.TemporaryDirectory(prefix="precis-bench-") as folder,
        servers.running(["kafka"]) as started,
    ):
        kafka = KafkaLog(f"{servers.LOOPBACK}:{started['kafka'].port}")
        bench = Bench(Path(folder), kafka, TARGET / "release/precis-bench-router")
        found = {
            size: measure(bench, size, options.megabytes * 1_000_000 // size, options)
            for size in options.sizes
        }
        kafka.close()
    text = table(found)
    quick = " **A smoke run: no figures to quote.**" if options.quick else ""
    notes = (
        f"\nMedian of {options.rounds} alternating rounds, {options.megabytes} MB of documents each, {PARTITIONS} partitions, {COMPRESSION}, a transaction for at most "
        f"{TRANSACTION_RECORDS:,} records or {COMMIT_INTERVAL_MS} ms; {len(os.sched_getaffinity(0))} cores for broker and subject together, load {load:.1f} at start.{quick}\n"
    )
    stamp = f"{datetime.now():%Y%m%d-%H%M%S}"
    (OUT / f"{stamp}.json").write_text(
        json.dumps({"options": vars(options), "load": load, "found": found}, indent=1)
    )
    (OUT / f"{stamp}.md").write_text(text + notes)
    print(text + notes)
    tell(f"kept in {OUT}/{stamp}.md and .json")


if __name__ == "__main__":
    main()
