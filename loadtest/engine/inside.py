"""One measurement inside `precis-gpu-worker`: documents through Apache Kafka, `precis-router` beside it, results in a directory.

    python inside.py --papers FILE --engine JSON      in the tests' Python environment, where worker.py starts it

Prints one line of JSON. Log, store and processes are new for each measurement: an answer that an earlier one left would be taken
instead of being generated.

- The clock runs from the moment the worker takes its first document (the earliest `settled_at - generation_ms` of the outcomes, which
  it writes itself) to the moment a reader of committed records has the last outcome. Loading the model, starting Kafka and
  publishing lie before that, waiting for transactions lies in it. `published_seconds` runs from the publication instead.
- Processor time and memory are the worker's own, from /proc; what router and broker take beside it is told apart.
- The documents' language is `und` (undetermined, BCP 47), about which the instruction says nothing: prompts are then, id by id, those
  of `precis bench`. All checks run, and only an empty answer fails, so that no document comes round again.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[2] / "tests"
sys.path += [str(TESTS / "harness"), str(TESTS / "e2e")]

import servers  # noqa: E402
from deployment import GPU, PERMISSIVE, Deployment, KafkaDeployment  # noqa: E402
from kafka import KafkaLog  # noqa: E402
from oracle import first_outcomes, settled  # noqa: E402
from stores import DirectoryStore  # noqa: E402
from usage import Usage  # noqa: E402

# However slow the machine: a measurement ends.
TIMEOUT_SECONDS = 3600
ENGINE_VARIABLE = "PRECIS_GPU_WORKER__ENGINE__"


class WorkerDeployment(KafkaDeployment):
    """Kafka with the services' own timeouts, a directory, release binaries."""

    profile = "release"

    def __init__(self, folder: Path, kafka: KafkaLog, engine: dict):
        Deployment.__init__(self, folder, [GPU], key=None, checks=PERMISSIVE)
        self.kafka, self.engine = kafka, engine
        self.store = DirectoryStore(folder / "objects")

    def log_settings(self, instance: str) -> dict:
        return {
            "kind": "kafka",
            "kafka": {
                "brokers": self.kafka.brokers,
                "client_id": f"bench-{instance}",
                "instance_id": instance,
            },
        }

    def store_settings(self) -> dict:
        return {"kind": "directory", "directory": {"path": str(self.store.folder)}}

    def service_settings(self) -> dict:
        return {"gpu_worker": {"engine": self.engine}}

    def keys(self) -> dict[str, str]:
        """The engine's variables that hold for the whole run, such as its ISA; what is measured sets the others."""
        own = {f"{ENGINE_VARIABLE}{name.upper()}" for name in self.engine}
        return {
            name: value
            for name, value in os.environ.items()
            if name.startswith(ENGINE_VARIABLE) and name not in own
        }


def measure(deployment: WorkerDeployment, papers: list[dict], max_words: int, broker: int) -> dict:
    router, worker = deployment.start("precis-router"), deployment.start("precis-gpu-worker")
    summaries = deployment.kafka.follow("summaries")
    processes = {"worker": worker.pid, "router": router.pid, "kafka": broker}
    before = {name: Usage.of(pid) for name, pid in processes.items()}
    began = time.time()
    deployment.publish(
        [
            {
                "document_id": paper["id"],
                "submitted_at": int(began * 1000),
                "text": paper["text"],
                "language": "und",
                "sensitivity": "public",
                "max_words": max_words,
            }
            for paper in papers
        ]
    )
    records = summaries.until(settled(len(papers)), "all outcomes", TIMEOUT_SECONDS)
    ended = time.time()
    after = {name: Usage.of(pid) for name, pid in processes.items()}
    cpu_seconds = {name: after[name].cpu_seconds - before[name].cpu_seconds for name in processes}
    outcomes = list(first_outcomes(records).values())
    for outcome in outcomes:
        assert (
            outcome["status"] == "answered"
            and outcome["chunks"] == 1
            and outcome["cache"] == "none"
        ), (
            f"{outcome['document_id']}: {outcome['status']} {outcome['code']}, {outcome['chunks']} parts, cache {outcome['cache']}"
        )
    tokens = {
        kind: worker.metric("precis_engine_tokens_total", kind=kind)
        for kind in ("prefill", "decode")
    }
    shared = worker.metric("precis_engine_prefix_tokens_total")
    taken = min(
        outcome["settled_at"].timestamp() - outcome["generation_ms"] / 1000 for outcome in outcomes
    )
    deployment.drain()
    return {
        "documents": len(outcomes),
        "wall_seconds": ended - taken,
        "published_seconds": ended - began,
        "cpu_seconds": cpu_seconds.pop("worker"),
        "cpu_seconds_beside": cpu_seconds,
        "peak_rss_mib": after["worker"].peak_rss_mib,
        "input_tokens": sum(outcome["input_tokens"] for outcome in outcomes),
        "output_tokens": sum(outcome["output_tokens"] for outcome in outcomes),
        "computed_tokens": tokens,
        "shared_tokens": shared,
        "input_tokens_by_document": {
            outcome["document_id"]: outcome["input_tokens"] for outcome in outcomes
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures inside gpu-worker; worker.py runs it.")
    parser.add_argument(
        "--papers", type=Path, required=True, help='JSON Lines with "id" and "text"'
    )
    parser.add_argument(
        "--engine", type=json.loads, required=True, help="the worker's engine settings, JSON"
    )
    parser.add_argument("--max-words", type=int, required=True)
    options = parser.parse_args()
    papers = [json.loads(line) for line in options.papers.read_text().splitlines()]
    servers.terminate_on_signals()
    with (
        tempfile.TemporaryDirectory(prefix="precis-inside-") as folder,
        servers.running(["kafka"]) as started,
    ):
        kafka = KafkaLog(f"{servers.LOOPBACK}:{started['kafka'].port}")
        deployment = WorkerDeployment(Path(folder), kafka, options.engine)
        try:
            print(
                json.dumps(
                    measure(deployment, papers, options.max_words, started["kafka"].process.pid)
                )
            )
        except BaseException:
            print(deployment.logs(), file=sys.stderr)
            raise
        finally:
            deployment.close()
            kafka.close()


if __name__ == "__main__":
    main()
