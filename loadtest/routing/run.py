"""`make load-routing`: documents of a realistic mix through Kafka, three tiers, budgets and escalations, and what came of it. See ../README.md.

    python3 loadtest/routing/run.py [--documents 10000] [--rate 40] [--profile release]      needs what `make test` needs

Kafka, the routers, the workers, the policy, the checks, the ledger and the budgets are the real ones. Simulated is what answers: the
gpu-workers run the chaos build's backend of a faulty model instead of a model, the providers are llmock (provider.py). The store is a directory:
the tests' S3 server is one Python process on the same cores and would be what is measured.

Of the documents, 60 % are published at a steady rate, which gives the latencies, the rest at once, which gives the throughput.

Exit code 1 when a document that may not leave the network was in a request to a provider; when the ledger and the providers' own count
differ; when a document has not exactly one outcome; when a tier misses its share by more than two points without a reason in the metrics;
when more was spent than a budget allows; or when the search for documents that left does not find one that was sent on purpose.
"""

import argparse
import json
import os
import re
import shutil
import sys
import tempfile
import threading
import time
import urllib.request
from datetime import datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path += [str(ROOT / "tests/harness"), str(ROOT / "tests/e2e")]

import provision  # noqa: E402

if __name__ == "__main__" and sys.prefix != str(provision.python_environment()):
    # The clients of Kafka are in the tests' Python environment.
    python = str(provision.python_environment() / "bin" / "python")
    os.execv(python, [python, __file__, *sys.argv[1:]])

import corpus  # noqa: E402
import figures  # noqa: E402
import oracle  # noqa: E402
import servers  # noqa: E402
import wire  # noqa: E402
from confluent_kafka import Producer  # noqa: E402
from deployment import Deployment, KafkaDeployment  # noqa: E402
from kafka import QUIET, KafkaLog  # noqa: E402
from processes import DIRECT  # noqa: E402
from stores import DirectoryStore  # noqa: E402

TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
OUT = TARGET / "load-routing"
POLICY = ROOT / "infra/policy/70-20-10.toml"
# What the deployment's answers have wrong; services/gpu-worker/src/faulty_model.rs says what a rate is the share of.
HOUSE_ERRORS = "truncated=0.10,repetition=0.06,refusal=0.01,numbers=0.25,language=0.10"
HOUSE_DELAY_MS = 100
STEADY_SHARE = 0.6
# Sent again as they were, once all is done.
SENT_AGAIN = 20
TIMEOUT_SECONDS = 900
INSTANCES = {"router": 2, "gpu-worker": 2, "api-worker": 2}
# One budget is to bind, one is not. The tight one is for a tenant's documents at the dearest tier.
TIGHT = {"name": "dunmore-premium", "tenant": "dunmore", "tier": "premium"}
TIGHT_USD_PER_DOCUMENT = 0.00004
BUDGETS = """
[[budgets]]
name = "{name}"
window = "month"
usd = "{usd:.4f}"
tier = "{tier}"
tenant = "{tenant}"

[[budgets]]
name = "everybody"
window = "month"
usd = "500"
"""


def tell(text: str) -> None:
    print(f"{datetime.now():%H:%M:%S} {text}", file=sys.stderr, flush=True)


class Provider(servers.HttpServer):
    """llmock with provider.py's scenario."""

    name = "provider"
    health = "/health"

    def command(self) -> list[str]:
        return [self.script("python"), str(HERE / "provider.py"), str(self.port)]

    def answers(self) -> None:
        """It always does."""

    def get(self, path: str) -> dict:
        with DIRECT.open(self.url + path, timeout=120) as answer:
            return json.loads(answer.read())

    def send(self, text: str) -> None:
        """A request as the api-worker would send it."""
        body = {
            "model": "gpt-5.5",
            "messages": [
                {
                    "role": "user",
                    "content": f"<document-0a1b>\n{text}\n</document-0a1b>\n\nSummarize the text above in at most 60 words.",
                }
            ],
        }
        request = urllib.request.Request(
            f"{self.url}/v1/chat/completions",
            json.dumps(body).encode(),
            {"content-type": "application/json"},
        )
        DIRECT.open(request, timeout=30).close()


class RoutingDeployment(KafkaDeployment):
    """Kafka with the services' own settings, a directory, the policy that the README explains, and two budgets."""

    tenants = tuple(corpus.TENANTS)
    # Who reads its outcomes, once there is one.
    reader: "Reader | None" = None

    def __init__(
        self, folder: Path, kafka: KafkaLog, provider: Provider, profile: str, tight_usd: float
    ):
        Deployment.__init__(self, folder, [], llmock=provider)
        self.profile = f"load-routing/{profile}"
        self.kafka, self.store = kafka, DirectoryStore(folder / "objects")
        self.policy_file.write_text(POLICY.read_text() + BUDGETS.format(usd=tight_usd, **TIGHT))

    def log_settings(self, instance: str) -> dict:
        return {
            "kind": "kafka",
            "kafka": {
                "brokers": self.kafka.brokers,
                "client_id": f"load-{instance}",
                "instance_id": instance,
                "compression": "zstd",
            },
        }

    def store_settings(self) -> dict:
        return {"kind": "directory", "directory": {"path": str(self.store.folder)}}

    def keys(self) -> dict[str, str]:
        return super().keys() | {
            "PRECIS_CHAOS_BACKEND": "faulty_model",
            "PRECIS_CHAOS_ERRORS": HOUSE_ERRORS,
            "PRECIS_CHAOS_DELAY_MS": str(HOUSE_DELAY_MS),
        }

    def metrics(self, program: str) -> figures.Series:
        """Every series of a program's instances."""
        found = []
        for instance, service in self.services.items():
            for line in (
                (service.get("/metrics") or "").splitlines() if instance.startswith(program) else []
            ):
                series, _, value = line.rpartition(" ")
                if not line.startswith("#") and value:
                    found.append(
                        (
                            series.partition("{")[0],
                            dict(re.findall(r'(\w+)="([^"]*)"', series)),
                            float(value),
                        )
                    )
        return found


class Reader(threading.Thread):
    """Reads the outcomes as they are committed, and when."""

    def __init__(self, kafka: KafkaLog):
        super().__init__(daemon=True)
        self.follower, self.arrived, self.repeats, self.over = (
            kafka.follow("summaries"),
            {},
            0,
            threading.Event(),
        )

    def run(self) -> None:
        while not self.over.is_set():
            if record := self.follower.poll(0.2):
                if oracle.is_repeat(record):
                    self.repeats += 1
                else:
                    self.arrived.setdefault(record.key, time.time())

    def stop(self) -> None:
        """Before its consumer is closed, which must not happen while it polls."""
        self.over.set()
        if self.is_alive():
            self.join()

    def wait_for(self, count: int, repeats: int = 0) -> None:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while len(self.arrived) < count or self.repeats < repeats:
            assert time.monotonic() < deadline, (
                f"{len(self.arrived)} of {count} outcomes, {self.repeats} of {repeats} repeats after {TIMEOUT_SECONDS} s"
            )
            time.sleep(0.1)


class Publisher:
    """Publishes as any Kafka client would."""

    def __init__(self, kafka: KafkaLog):
        self.producer = Producer(
            QUIET
            | {
                "bootstrap.servers": kafka.brokers,
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": 5,
                "compression.type": "zstd",
                "queue.buffering.max.kbytes": 262_144,
            }
        )
        self.schema, self.submitted = wire.schema("document"), {}

    def publish(self, documents: list[corpus.Document], rate: float = float("inf")) -> None:
        """Returns once all are acknowledged."""
        failures, begun = [], time.monotonic()
        for number, document in enumerate(documents):
            self.producer.poll(max(0.0, begun + number / rate - time.monotonic()))
            while begun + number / rate > time.monotonic():
                time.sleep(0.001)
            submitted = self.submitted.setdefault(document.id, int(time.time() * 1000))
            value = self.schema.encode(document.fields | {"submitted_at": submitted})
            headers = [("precis-schema", self.schema.header.encode())]
            self.producer.produce(
                f"documents.{document.tenant}",
                value,
                document.id.encode(),
                headers=headers,
                on_delivery=lambda error, _: failures.append(error) if error else None,
            )
        assert self.producer.flush(120) == 0 and not failures, f"not acknowledged: {failures[:3]}"


def measure(
    deployment: RoutingDeployment,
    provider: Provider,
    documents: list[corpus.Document],
    options: argparse.Namespace,
) -> dict:
    """Starts the services, sends them the documents, and holds what is there afterwards against each other."""
    for program, count in INSTANCES.items():
        for number in range(1, count + 1):
            deployment.start(f"precis-{program}", instance=f"{program}-{number}")
    reader, publisher = Reader(deployment.kafka), Publisher(deployment.kafka)
    deployment.reader = reader
    reader.start()
    steady = documents[: int(len(documents) * STEADY_SHARE)]
    tell(f"{len(steady)} documents at {options.rate:g} a second")
    publisher.publish(steady, options.rate)
    reader.wait_for(len(steady))
    tell(f"{len(documents) - len(steady)} documents at once")
    begun = time.time()
    publisher.publish(documents[len(steady) :])
    reader.wait_for(len(documents))
    burst_seconds = max(reader.arrived.values()) - begun
    router, spent = (
        deployment.metrics("router"),
        json.loads(deployment.cli("spend", "--by", "tier", "--by", "tenant", "--json").stdout),
    )
    workers = deployment.metrics("gpu-worker") + deployment.metrics("api-worker")
    again = [document for document in documents if not document.repeat][:SENT_AGAIN]
    publisher.publish(again)
    reader.wait_for(len(documents), repeats=len(again))
    reader.stop()
    tell("all settled; holding topic, store, ledger and the providers' journal against each other")
    published = {(document.tenant, document.id, 0) for document in documents}
    outcomes = deployment.assert_settled(published, repeats=len(again))
    served, journal = provider.get("/_served"), provider.get("/_llmock/requests")["requests"]
    # The control: the search below must find this one.
    planted = next(document for document in documents if document.fields["sensitivity"] is None)
    provider.send(planted.text)
    control = provider.get("/_llmock/requests")["requests"][-1:]
    latencies = {
        document.id: reader.arrived[key_of(document)] - publisher.submitted[document.id] / 1000
        for document in steady
    }
    return figures.of(
        documents=documents,
        outcomes=outcomes,
        router=router,
        workers=workers,
        spent=spent,
        served=served,
        journal=journal,
        planted=planted,
        control=control,
        latencies=latencies,
        burst=(len(documents) - len(steady), burst_seconds),
        budget=TIGHT | {"usd": tight_usd(options)},
    )


def key_of(document: corpus.Document) -> bytes:
    """The key of a document's record on summaries."""
    return f"{document.tenant}/{document.id}".encode()


def tight_usd(options: argparse.Namespace) -> float:
    return round(TIGHT_USD_PER_DOCUMENT * options.documents, 4)


def build(profile: str) -> None:
    """The services as they are shipped, but for the gpu-worker, which is a chaos build: the backend of a faulty model is in no other.

    Of the whole workspace, as the tests and the other load tests do: dependencies are then built with the same features, and once.
    """
    selected = ["precis", "precis-router", "precis-api-worker", "precis-gpu-worker"]
    selection = ["--workspace", *(["--release"] if profile == "release" else [])]
    env = os.environ | {"CARGO_TARGET_DIR": str(TARGET)}
    for binaries, features in (
        (selected[:-1], []),
        (selected[-1:], ["--features", "precis-gpu-worker/chaos"]),
    ):
        named = [part for binary in binaries for part in ("--bin", binary)]
        if code := servers.run_and_wait(
            ["cargo", "build", "--locked", *selection, *named, *features], env, cwd=ROOT
        ):
            sys.exit(code)
        (OUT / profile).mkdir(parents=True, exist_ok=True)
        for binary in binaries:
            # A place of its own, so that no later build or run takes one for the other.
            fresh = OUT / profile / f".{binary}"
            shutil.copy2(TARGET / profile / binary, fresh)
            fresh.rename(OUT / profile / binary)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--documents", type=int, default=10_000)
    parser.add_argument(
        "--rate",
        type=float,
        default=40,
        help="documents a second of the steady part (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--profile", default="release", choices=["release", "debug"])
    parser.add_argument("--no-build", action="store_true", help="the binaries of the last run")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="1,000 documents: whether all works, no figures to quote",
    )
    options = parser.parse_args()
    if options.quick:
        options.documents = 1_000
    return options


def main() -> int:
    options = parse()
    servers.terminate_on_signals()
    if not options.no_build:
        build(options.profile)
    documents = corpus.documents(options.documents, options.seed)
    load, begun = os.getloadavg()[0], time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="precis-routing-") as folder,
        servers.running(["kafka"]) as started,
    ):
        kafka, provider = (
            KafkaLog(f"{servers.LOOPBACK}:{started['kafka'].port}"),
            Provider(Path(folder)),
        )
        deployment = RoutingDeployment(
            Path(folder), kafka, provider, options.profile, tight_usd(options)
        )
        try:
            provider.start()
            found = measure(deployment, provider, documents, options)
        except BaseException:
            print(deployment.logs(), file=sys.stderr)
            raise
        finally:
            if deployment.reader:
                deployment.reader.stop()
            deployment.close()
            kafka.close()
            provider.stop()
    found |= {
        "options": vars(options),
        "load_at_start": load,
        "cores": len(os.sched_getaffinity(0)),
        "seconds": time.monotonic() - begun,
    }
    text = figures.text(found)
    OUT.mkdir(parents=True, exist_ok=True)
    stamp = f"{datetime.now():%Y%m%d-%H%M%S}"
    (OUT / f"{stamp}.json").write_text(json.dumps(found, indent=1))
    (OUT / f"{stamp}.txt").write_text(text)
    print(text)
    tell(f"kept in {OUT}/{stamp}.txt and .json")
    for problem in found["problems"]:
        print(f"PROBLEM: {problem}", file=sys.stderr)
    return 1 if found["problems"] else 0


if __name__ == "__main__":
    sys.exit(main())
