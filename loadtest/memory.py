"""Peak memory of router and api-worker for the worst input of each kind, beside its bound.

    python3 loadtest/memory.py [--quick] [--profile release]      needs what `make test` needs

One deployment for each kind: Kafka, a directory, a router, an api-worker, and a provider that takes a second for each answer, so that as much
as possible is in process at once. What is measured is the high-water mark of resident memory (`VmHWM`) of each process, from before the first
record until the last document has ended. Exit code 1 when a process went over its bound, or when a document did not end.

A debug build's worker refuses texts of more than 600,000 bytes, as it does by default: it reads them and sends none.

The bound is what the process had when it was ready, and what its settings allow: records and outputs (`max_in_flight_bytes`), as much again for
what the Kafka client has fetched and not handed over, and the texts (`max_text_bytes_in_process`) as often as they are copied on their way: the
text itself, its normalised copy or the request's message, and the request's body. What checks and scores need besides is in it as well: up to 55
times a text whose words are all different numbers, for one text fewer at once than there are cores, four at most.
"""

import argparse
import hashlib
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path += [str(TESTS / "harness"), str(TESTS / "e2e")]

import provision  # noqa: E402

if Path(sys.prefix) != provision.python_environment():
    python = str(provision.python_environment() / "bin" / "python")
    os.execv(python, [python, __file__, *sys.argv[1:]])

import notes  # noqa: E402
import servers  # noqa: E402
from deployment import TENANT, Deployment  # noqa: E402
from kafka import KafkaLog  # noqa: E402
from pressure import PressureDeployment, provider  # noqa: E402

MIB = 1024 * 1024
RECORDS_MIB, TEXTS_MIB, COPIES = 64, 64, 3
# A little less than a client sends by default: keys, labels and framing come on top.
RECORD_BYTES = 1_000_000 - 4096
BODY_BYTES = 2 * MIB
TIMEOUT_SECONDS = 900


@dataclass(frozen=True)
class Kind:
    """One kind of input: its name, how many records, and the fields of each."""

    name: str
    records: int
    fields: object
    body: bytes | None = None
    # Without an identity a record ends as a dead letter alone.
    outcomes: bool = True


def prose(size: int) -> str:
    """Text of so many bytes, in words and sentences."""
    sentence = f"{notes.ANSWER} "
    return (sentence * (size // len(sentence) + 1))[:size]


def kinds(scale: float) -> list[Kind]:
    """64 MB of each kind, or a part of it."""
    many, large = max(4, int(1024 * scale)), max(4, int(64 * scale))
    words, unbroken = prose(BODY_BYTES).encode(), b"x" * BODY_BYTES
    numbers = " ".join(str(7 * number) for number in range(BODY_BYTES // 7)).encode()[:BODY_BYTES]
    inline, run = prose(RECORD_BYTES - 16), "x" * (RECORD_BYTES - 16)
    return [
        Kind("small records, one 2 MiB body", many, lambda _: {}, body=words),
        Kind("inline texts of 1 MB", large, lambda number: {"text": f"{number} {inline}"}),
        Kind(
            "a million empty subjects each",
            large,
            lambda _: {"text": "A text.", "subject_ids": [""] * (RECORD_BYTES - 64)},
            outcomes=False,
        ),
        Kind("unbroken inline texts of 1 MB", large, lambda number: {"text": f"{number}{run}"}),
        Kind("small records, one unbroken 2 MiB body", many, lambda _: {}, body=unbroken),
        Kind("small records, one 2 MiB body of numbers", many, lambda _: {}, body=numbers),
    ]


def peak_mib(pid: int) -> float:
    """The most resident memory that a process ever had."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    line = next(line for line in status if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def document(kind: Kind, number: int, body: dict | None) -> dict:
    fields = {
        "document_id": f"memory-{number}",
        "submitted_at": int(time.time() * 1000),
        "language": "en",
        "sensitivity": "public",
        # Each its own request: none is answered from the cache.
        "max_words": 20 + number % 900,
        "instruction": f"Write for reader {number}.",
    }
    return fields | ({"body": body} if body else {}) | kind.fields(number)


def store_body(deployment: Deployment, bytes_: bytes) -> dict:
    sha256 = hashlib.sha256(bytes_).hexdigest()
    key = f"bodies/{TENANT}/memory"
    path = deployment.store.folder / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes_)
    return {"key": key, "sha256": sha256, "size_bytes": len(bytes_)}


def measure(deployment: PressureDeployment, kind: Kind) -> dict[str, tuple[float, float]]:
    """Memory when it was ready and at its peak, by service."""
    processes = {name: deployment.start(f"precis-{name}").pid for name in ("router", "api-worker")}
    ready = {name: peak_mib(pid) for name, pid in processes.items()}
    body = store_body(deployment, kind.body) if kind.body else None
    ended = deployment.kafka.follow("summaries" if kind.outcomes else "dead-letters")
    for first in range(0, kind.records, 64):
        numbers = range(first, min(first + 64, kind.records))
        deployment.publish([document(kind, number, body) for number in numbers])
    ended.until(
        lambda records: len(records) >= kind.records,
        f"the end of {kind.records} documents",
        seconds=TIMEOUT_SECONDS,
    )
    return {name: (ready[name], peak_mib(pid)) for name, pid in processes.items()}


def takes_all(deployment: Deployment) -> None:
    """Lets the worker send documents of every size, as its memory is worst."""
    settings = deployment.service_settings()
    settings["api_worker"]["max_document_bytes"] = 16 * MIB
    deployment.service_settings = lambda: settings


def main() -> int:
    parser = argparse.ArgumentParser(description="Measures peak memory for the worst input.")
    parser.add_argument("--quick", action="store_true", help="an eighth of the input")
    parser.add_argument("--profile", default="release", choices=["release", "debug"])
    options = parser.parse_args()
    servers.terminate_on_signals()
    over = []
    print("| input | process | ready MiB | peak MiB | bound MiB |", flush=True)
    print("| --- | --- | ---: | ---: | ---: |", flush=True)
    with servers.running(["kafka"]) as started:
        kafka = KafkaLog(f"{servers.LOOPBACK}:{started['kafka'].port}")
        for kind in kinds(1 / 8 if options.quick else 1):
            with tempfile.TemporaryDirectory(prefix="precis-memory-") as folder:
                kafka.wipe()
                deployment = PressureDeployment(
                    Path(folder), kafka, provider(), options.profile, max_backlog=1_000
                )
                # A debug build takes minutes to check one answer to a text of 2 MiB.
                if options.profile == "release":
                    takes_all(deployment)
                try:
                    found = measure(deployment, kind)
                except BaseException:
                    print(deployment.logs(), file=sys.stderr)
                    raise
                finally:
                    deployment.close()
            for name, (ready, peak) in found.items():
                bound = ready + 2 * RECORDS_MIB + COPIES * TEXTS_MIB
                print(
                    f"| {kind.name} | {name} | {ready:.0f} | {peak:.0f} | {bound:.0f} |", flush=True
                )
                if peak > bound:
                    over.append(f"{name}, {kind.name}: {peak:.0f} MiB, the bound is {bound:.0f}")
        kafka.close()
    for line in over:
        print(line, file=sys.stderr)
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
