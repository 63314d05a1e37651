"""Builds Redpanda Connect by the Go module proxy, its versions pinned by connect/go.sum, and says how it runs here.

    python3 connect.py      builds, prints the program's path

The program is cached below ~/.cache/precis/connect-<digest>; what it is built of is not kept. The first build takes five minutes of two cores.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCE = HERE / "connect"
FILES = ("main.go", "go.mod", "go.sum")
CACHE = Path(os.environ.get("PRECIS_CACHE_DIR") or Path.home() / ".cache" / "precis")


def program() -> Path | None:
    """The program, built if it is not there; none where there is no Go, or no proxy."""
    digest = hashlib.sha256(b"".join((SOURCE / name).read_bytes() for name in FILES)).hexdigest()
    target = CACHE / f"connect-{digest[:12]}" / "connect"
    if target.exists():
        return target
    go = shutil.which("go")
    if go is None:
        return None
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        built = Path(folder) / "connect"
        environment = os.environ | {
            "GOPATH": f"{folder}/path",
            "GOCACHE": f"{folder}/cache",
            "GOFLAGS": "-mod=readonly -modcacherw",
            "GOTOOLCHAIN": "local",
            "CGO_ENABLED": "0",
        }
        done = subprocess.run(
            ["nice", "-n", "10", go, "build", "-o", built, "."],
            cwd=SOURCE,
            env=environment,
            stdout=sys.stderr,
            check=False,
        )
        if done.returncode:
            return None
        built.rename(target)
    return target


def configuration(brokers: str, source: str, target: str, group: str, compression: str) -> str:
    """Kafka to Kafka, each document mapped to itself, at least once. Batches as large as it takes to be fast: 1,000 documents, or 50 ms."""
    return json.dumps(
        {
            "http": {"enabled": False},
            "logger": {"level": "ERROR"},
            "input": {
                "kafka_franz": {
                    "seed_brokers": [brokers],
                    "topics": [source],
                    "consumer_group": group,
                    "commit_period": "1s",
                    "checkpoint_limit": 20_000,
                    "batching": {"count": 1000, "period": "50ms"},
                }
            },
            "pipeline": {"processors": [{"mapping": "root = content()"}]},
            "output": {
                "kafka_franz": {
                    "seed_brokers": [brokers],
                    "topic": target,
                    "key": '${! meta("kafka_key") }',
                    "compression": compression,
                    "max_in_flight": 64,
                    "max_message_bytes": "2MB",
                }
            },
        }
    )


if __name__ == "__main__":
    print(program() or sys.exit("no Go, or its module proxy cannot be reached"))
