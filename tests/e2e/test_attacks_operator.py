"""Who attacks operators and the machine: forged dead letters, connections that send nothing, other users of the machine."""

import json
import os
import socket
import stat

import wire
from deployment import API, GPU, TENANT
from embedded import EmbeddedLog
from stores import DirectoryStore

CONNECTIONS = 192


def forged(topic: str, offset: int, value: bytes, stage: str = "router", **more) -> dict:
    """A dead letter as anybody who may write to `dead-letters` can make it."""
    return {
        "id": f"{stage}/{topic}/0/{offset}",
        "stage": stage,
        "code": "unknown_schema",
        "topic": topic,
        "partition": 0,
        "offset": offset,
        "value": value,
        "failed_at": 0,
    } | more


def test_forged_dead_letter_switches_no_tier(kafka_deployment):
    """Dead letters that name `control`, take the id of a real one or are none: each is refused or left out and told; the real
    one is replayed, once, and on record with its topic."""
    deployment = kafka_deployment(GPU)
    deployment.start("precis-router")
    deployment.kafka.publish(f"documents.{TENANT}", [(b"k", b"no Avro", [("a", b"b")])])
    letters = deployment.kafka.follow("dead-letters")
    real = wire.schema("dead_letter").decode(
        letters.until(lambda records: len(records) == 1, "the dead letter")[0].value
    )
    deployment.drain()

    switch = wire.schema("tier_switch").encode(
        {"tier": "gpu", "state": "off", "reason": "forged", "by": "nobody", "at": 0}
    )
    attacks = [
        forged("control", 0, switch),
        # The id of the real one, for another record, and for the same record with other bytes.
        forged(real["topic"], 99, b"forged", id=real["id"]),
        forged(
            real["topic"], real["offset"], b"forged", id=real["id"], partition=real["partition"]
        ),
        # Never there.
        forged(f"documents.{TENANT}", 1_000_000, b"forged"),
    ]
    schema = wire.schema("dead_letter")
    records = [(letter["id"].encode(), schema.encode(letter), []) for letter in attacks]
    deployment.kafka.publish("dead-letters", [(b"x", b"nonsense", []), *records])

    done = deployment.cli("dead-letters", "replay", "--all", "--json", check=False)
    told = {row["id"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert done.returncode == 2, done.stderr.decode()
    assert told[real["id"]] == {
        "id": real["id"],
        "replayed": True,
        "topic": told[real["id"]]["topic"],
    }
    assert told["router/control/0/0"]["code"] == "topic_not_allowed"
    assert told[f"router/documents.{TENANT}/0/1000000"]["code"] == "record_gone"
    assert len(told) == 3 and done.stderr.decode().count("is left out") == 2, done.stderr.decode()

    assert not deployment.kafka.read("control")
    replayed = [
        record
        for record in deployment.kafka.read(told[real["id"]]["topic"])
        if record.header("precis-replay")
    ]
    assert [(record.key, record.value, record.header("a")) for record in replayed] == [
        (b"k", b"no Avro", b"b")
    ]
    audit = [json.loads(line) for line in deployment.cli("audit", "--json").stdout.splitlines()]
    replays = [record for record in audit if record["action"] == "dead_letters_replayed"]
    assert [record["details"]["topics"] for record in replays] == [f"{told[real['id']]['topic']}=1"]


def test_attackers_on_the_machine_and_the_network(embedded_deployment):
    """Nobody else may read what lies on the machine; connections that send nothing keep no probe out and take few descriptors."""
    deployment = embedded_deployment(API, key=None)
    state = deployment.folder / "state"
    deployment.log = EmbeddedLog(state / "log.db")
    deployment.store = DirectoryStore(state / "objects")
    previous = os.umask(0o022)
    try:
        service = deployment.start("precis", "up")
    finally:
        os.umask(previous)
    found = [state, *state.rglob("*")]
    assert {path.name for path in found} >= {"log.db", "log.db-wal", "objects"}
    wide = {
        path.name: mode for path in found if (mode := stat.S_IMODE(path.stat().st_mode)) & 0o077
    }
    assert not wide, wide

    descriptors = f"/proc/{service.process.pid}/fd"
    before = len(os.listdir(descriptors))
    half_open = []
    for _ in range(CONNECTIONS):
        connection = socket.create_connection(("127.0.0.1", service.port), timeout=30)
        connection.sendall(b"GET /livez HTTP/1.1\r\nhost: t")
        half_open.append(connection)
    assert service.is_ready()
    assert len(os.listdir(descriptors)) - before < CONNECTIONS / 2
    for connection in half_open:
        connection.close()
