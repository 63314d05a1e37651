"""Every kind of bad input in one run, beside ordinary documents: each ends as documented, nobody else notices.

What is held:
- each kind of `poison.py` ends as the table there says, its dead letters with the raw bytes;
- no service dies, restarts or panics;
- every ordinary document is answered, none later than BOUND_SECONDS after it was published, though each stands behind
  poison in its partition. What a bad record may hold its partition for is its own retries in place
  (`a_bad_record_holds_its_partition_no_longer_than_its_bound`, flow), here under a second; the bound is generous, so that
  a busy machine does not break it.
"""

import random
import sqlite3
import time
from pathlib import Path

import digests
import notes
import oracle
import poison
import poison_inner
import poison_kinds
import wire
from confluent_kafka import Producer
from confluent_kafka.admin import NewTopic
from deployment import API, GPU, PERMISSIVE, TENANT

ORDINARY_PER_KIND = 2
BOUND_SECONDS = 60
# What the store of a deployment takes as one object, by default.
STORE_BYTES = 64 * poison.MEBI
WAIT_SECONDS = 300
SEED = 4


def headers_of(deployment, sent: poison_kinds.Sent, name: str) -> list[tuple[str, bytes]]:
    """The record's own headers, the name of its kind, and its proof where whoever writes it has the key."""
    told = [*sent.headers, ("kind", name.encode())]
    if sent.proved:
        key = deployment.store.get("keys/routing")
        told.append(("precis-proof", digests.proof(key, sent.topic, sent.value)))
    return told


class KafkaPublisher:
    """A Kafka client that nobody told to behave: large records, any compression, any header."""

    def __init__(self, deployment):
        self.deployment = deployment
        options = {
            "bootstrap.servers": deployment.kafka.brokers,
            "acks": "all",
            "message.max.bytes": 500_000_000,
            "queue.buffering.max.kbytes": 1_000_000,
        }
        self.plain = Producer(options)
        # What is far beyond a topic's limit fits it when it compresses well.
        self.compressing = Producer(options | {"compression.type": "gzip"})
        self.failures, self.followers = [], {}

    def send(self, sent: poison_kinds.Sent, name: str) -> None:
        producer = self.compressing if len(sent.value or b"") > poison.MEBI else self.plain
        more = {} if sent.timestamp_ms is None else {"timestamp": sent.timestamp_ms}
        producer.produce(
            sent.topic,
            sent.value,
            sent.key,
            headers=headers_of(self.deployment, sent, name),
            on_delivery=lambda error, _message: error and self.failures.append((name, error)),
            **more,
        )
        producer.poll(0)

    def flush(self) -> None:
        assert (
            self.plain.flush(120) == 0 and self.compressing.flush(120) == 0 and not self.failures
        ), f"not acknowledged: {self.failures[:3]}"

    def put(self, key: str, data: bytes) -> None:
        self.deployment.store.client.put_object(
            Bucket=self.deployment.store.bucket, Key=key, Body=data
        )

    def read(self, topic: str):
        if topic not in self.followers:
            self.followers[topic] = self.deployment.kafka.follow(topic)
        return self.followers[topic].to_the_end()


class EmbeddedPublisher:
    """Writes to the log's file with SQLite alone."""

    def __init__(self, deployment):
        self.deployment = deployment

    def send(self, sent: poison_kinds.Sent, name: str) -> None:
        headers = b"".join(
            len(part).to_bytes(4, "little") + part
            for pair in headers_of(self.deployment, sent, name)
            for part in (pair[0].encode(), pair[1])
        )
        connection = sqlite3.connect(self.deployment.log.path, timeout=30)
        with connection:
            topic, partitions = connection.execute(
                "SELECT id, partitions FROM topics WHERE name = ?", (sent.topic,)
            ).fetchone()
            partition = sum(sent.key or b"") % partitions
            (offset,) = connection.execute(
                "UPDATE partitions SET next = next + 1 WHERE topic = ? AND partition = ? RETURNING next - 1",
                (topic, partition),
            ).fetchone()
            connection.execute(
                "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    topic,
                    partition,
                    offset,
                    sent.timestamp_ms or int(time.time() * 1000),
                    sent.key,
                    sent.value,
                    headers,
                ),
            )
        connection.close()

    def flush(self) -> None:
        """Each record is committed as it is sent."""

    def put(self, key: str, data: bytes) -> None:
        path = self.deployment.store.folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def read(self, topic: str):
        return self.deployment.log.read(topic)


def ordinary(number: int) -> dict:
    return notes.note(number, document_id=f"ordinary-{number:04}")


def letters_by_kind(records) -> dict[str, list[dict]]:
    found: dict[str, list[dict]] = {}
    for record in records:
        letter = wire.schema("dead_letter").decode(record.value)
        found.setdefault(kind_of(letter), []).append(letter)
    return found


def kind_of(letter: dict) -> str:
    """By the header that each published record has; work that the router wrote is known by its document."""
    told = [header["value"].decode() for header in letter["headers"] if header["name"] == "kind"]
    return (
        told[0]
        if told
        else wire.schema("routed_document")
        .decode(letter["value"])["document_id"]
        .removeprefix("poison-")
    )


def kept(letter: dict, kind: poison_kinds.Kind, stored: dict[str, bytes]) -> bool:
    """Whether the dead letter has the raw bytes, by reference or not; beyond what the store takes, it says how many there were."""
    values = [sent.value for sent in kind.sent]
    reference, value = letter["value_ref"], letter["value"]
    if reference and not reference["key"]:
        return len(values[0]) > STORE_BYTES and f"{len(values[0])} bytes" in letter["message"]
    if reference:
        return stored.get(reference["key"]) in values
    if letter["topic"] == poison_inner.WORK and value not in values:
        value = wire.schema("routed_document").decode(value)["document"]
    return value in values


def wrong_ends(
    kinds, outcomes: dict, letters: dict[str, list[dict]], stored: dict[str, bytes]
) -> list[str]:
    """Every difference between what happened and the table."""
    wrong = []
    for kind in kinds:
        codes = tuple(letter["code"] for letter in letters.get(kind.name, []))
        if codes != kind.end.letters:
            wrong.append(f"{kind.name}: dead letters {codes}, expected {kind.end.letters}")
        wrong += [
            f"{kind.name}: its dead letter has other bytes"
            for letter in letters.get(kind.name, [])
            if not kept(letter, kind, stored)
        ]
        for identity in kind.ids:
            outcome = outcomes.get((TENANT, *identity))
            found = outcome and (outcome["status"], outcome["code"])
            if found != (kind.end.status, kind.end.code):
                wrong.append(f"{kind.name}: {found}, expected {(kind.end.status, kind.end.code)}")
    return wrong


def poisoned(deployment, publisher, kinds) -> None:
    """Publishes everything mixed, waits until all is settled, and holds it against the table."""
    pids = {name: service.pid for name, service in deployment.services.items()}
    for kind in kinds:
        for key, data in kind.objects.items():
            publisher.put(key, data)
    plan = [*kinds, *range(ORDINARY_PER_KIND * len(kinds))]
    random.Random(SEED).shuffle(plan)
    for item in plan:
        if isinstance(item, int):
            publisher.send(
                poison_kinds.Sent(poison_kinds.encode(ordinary(item)), str(item).encode()),
                "ordinary",
            )
        else:
            for sent in item.sent:
                publisher.send(sent, item.name)
    publisher.flush()

    ordinary_ids = {(TENANT, f"ordinary-{item:04}", 0) for item in plan if isinstance(item, int)}
    published = ordinary_ids | {(TENANT, *identity) for kind in kinds for identity in kind.ids}
    letters_expected = sum(len(kind.end.letters) for kind in kinds)
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        outcomes = oracle.first_outcomes(publisher.read("summaries"))
        letters = letters_by_kind(publisher.read("dead-letters"))
        done = outcomes.keys() >= published and sum(map(len, letters.values())) >= letters_expected
        if done or time.monotonic() > deadline:
            break
        time.sleep(1)
    assert {
        name: service.pid for name, service in deployment.services.items() if service.is_running()
    } == pids, "a service died"
    panics = [
        line
        for service in deployment.services.values()
        for line in service.log.read_text(errors="replace").splitlines()
        if "panicked at" in line
    ]
    wrong = wrong_ends(kinds, outcomes, letters, deployment.store.objects("dead-letters/"))
    wrong += [f"{who} is not settled" for who in sorted(ordinary_ids - outcomes.keys())]
    assert not wrong and not panics, "\n".join([*wrong, *panics])
    deployment.assert_settled(published, repeats=sum(kind.end.repeats for kind in kinds))
    waited = sorted(
        (outcomes[who]["settled_at"] - outcomes[who]["submitted_at"]).total_seconds()
        for who in ordinary_ids
    )
    print(
        f"{len(kinds)} kinds beside {len(waited)} ordinary documents, which waited {waited[len(waited) // 2]:.1f} s (median), {waited[-1]:.1f} s (longest)"
    )
    assert {outcomes[who]["status"] for who in ordinary_ids} == {"answered"}
    assert waited[-1] < BOUND_SECONDS


def test_every_code_is_explained_to_publishers():
    text = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "codes.md").read_text()
    codes = {code for kind in poison.kinds() for code in (kind.end.code, *kind.end.letters) if code}
    assert not {code for code in codes if f"`{code}`" not in text}


def test_bad_input_ends_as_documented_on_kafka(kafka_deployment, llmock):
    """Every kind of bad input ends as documented."""
    deployment = kafka_deployment(API, llmock=llmock, checks=PERMISSIVE)
    deployment.start("precis-router")
    deployment.start("precis-api-worker")
    deployment.kafka.admin.create_topics([NewTopic(poison.STRANGE_TOPIC, 1, 1)])[
        poison.STRANGE_TOPIC
    ].result()
    poisoned(deployment, KafkaPublisher(deployment), poison.kinds())


def test_bad_input_ends_as_documented_on_the_embedded_log(embedded_deployment, llmock):
    """Every kind of bad input ends as documented."""
    deployment = embedded_deployment(API, llmock=llmock, checks=PERMISSIVE)
    deployment.start("precis", "up")
    poisoned(
        deployment,
        EmbeddedPublisher(deployment),
        [kind for kind in poison.kinds() if not kind.kafka_only],
    )


def test_control_token_lookalikes_are_only_text(embedded_deployment):
    """Texts that look like control tokens are only text to the engine."""
    deployment = embedded_deployment(GPU, checks=PERMISSIVE)
    deployment.start("precis", "up")
    names = {
        f"text_of_{name}"
        for name in (
            "special_tokens",
            "one_token",
            "closing_tags",
            "template_syntax",
            "byte_order_mark",
        )
    }
    poisoned(
        deployment,
        EmbeddedPublisher(deployment),
        [kind for kind in poison.kinds() if kind.name in names],
    )
