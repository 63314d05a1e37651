"""A steady stream of documents, and a record of what the log acknowledged: the truth that the oracle holds the services against.

Most are plain; a few are of each of these kinds: with their text in the store, restricted to the deployment, with so few words allowed
that the cheap tier cannot keep to them, sent again unchanged, under an id that is taken, of a higher revision, or no document.
The stream goes straight to the broker, not through the proxy that fails: that publishers get through is not what is tested here.
"""

import threading
import time
from dataclasses import dataclass
from random import Random

import digests
import notes
import wire
from confluent_kafka import Producer
from kafka import QUIET

TENANT = "acme"
TOPIC = f"documents.{TENANT}"
# Fewer words than the cheap tier's answers have, and the fewest that may be asked for.
FEW_WORDS = 5
ENOUGH_WORDS = 60
BODY_WORDS = 4000
# What a repeat, a conflict or a revision refers to is one of the last so many.
RECENT = 300
# Longer than any outage of a run: what is published is acknowledged.
TIMEOUT_MS = 240_000
# A text that says this kills the process that summarises it, in a chaos build.
KILLS = "chaos-kill-the-process"
SHARES = {
    "plain": 0.70,
    "few words": 0.08,
    "restricted": 0.06,
    "by reference": 0.03,
    "repeat": 0.04,
    "conflict": 0.03,
    "revision": 0.03,
    "undecodable": 0.03,
}


@dataclass(frozen=True)
class Sent:
    """One acknowledged record. `document` is `None` where it is no document; `text` is what it says."""

    kind: str
    value: bytes
    position: tuple[str, int, int]
    document: dict | None = None
    text: str = ""

    @property
    def identity(self) -> tuple[str, str, int]:
        return TENANT, self.document["document_id"], self.document["revision"]

    @property
    def marker(self) -> str:
        """The first word of the text, which no other text has."""
        return self.text.split(maxsplit=1)[0]


class Publisher:
    """Publishes from a thread of its own until told to stop. `put_body(key, bytes)` stores a text."""

    def __init__(self, brokers: str, put_body, seed: int, shares: dict[str, float]):
        self.producer = Producer(
            QUIET
            | {
                "bootstrap.servers": brokers,
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": 5,
                "delivery.timeout.ms": TIMEOUT_MS,
                "partitioner": "murmur2_random",
            }
        )
        self.put_body, self.random = put_body, Random(f"precis chaos documents 1 {seed}")
        self.shares = shares
        self.schema = wire.schema("document")
        self.acknowledged: list[Sent] = []
        self.failed: list[str] = []
        self.written = 0
        # Ids that something was published under twice: what becomes of a third depends on which of them came first.
        self.contested: set[str] = set()
        self.stopping = threading.Event()
        self.thread: threading.Thread | None = None

    def stream(self, per_second: float, most: int) -> None:
        """Begins to publish so many a second."""

        def run():
            begun = time.monotonic()
            for number in range(most):
                if self.stopping.wait(max(0.0, begun + number / per_second - time.monotonic())):
                    return
                self.publish(self.random.choices(list(self.shares), list(self.shares.values()))[0])

        self.thread = threading.Thread(target=run, name="chaos-publisher")
        self.thread.start()

    def stop(self) -> None:
        """Ends the stream once everything that was sent is acknowledged, or given up."""
        self.stopping.set()
        if self.thread:
            self.thread.join()
        left = self.producer.flush(TIMEOUT_MS / 1000)
        self.failed += ["no answer"] * left

    def publish(self, kind: str) -> None:
        earlier = [
            sent
            for sent in self.acknowledged[-RECENT:]
            if sent.document and sent.identity[1] not in self.contested
        ]
        if kind in {"repeat", "revision"} and not earlier:
            kind = "plain"
        number = self.next()
        if kind == "undecodable":
            self.send(kind, f"record {number} is no Avro".encode(), f"broken-{number}")
        elif kind == "repeat":
            sent = self.random.choice(earlier)
            self.send(kind, sent.value, sent.document["document_id"], sent.document, sent.text)
        elif kind == "conflict":
            # Half of them together: both are under way at once then, and only the store can tell who was first.
            taken = (
                self.random.choice(earlier[-50:]).identity
                if earlier and self.random.random() < 0.5
                else None
            )
            document_id, revision = taken[1:] if taken else (f"id/{number:05}", 0)
            self.contested.add(document_id)
            if not taken:
                self.document(kind, self.next(), document_id)
            self.document(kind, number, document_id, revision)
        elif kind == "revision":
            taken = self.random.choice(earlier[-50:]).document
            self.document(kind, number, taken["document_id"], revision=1000 + number)
        else:
            self.document(kind, number, f"id/{number:05}")

    def next(self) -> int:
        self.written += 1
        return self.written

    def document(self, kind: str, number: int, document_id: str, revision: int = 0) -> None:
        """A document of its own words: no two of them are answered from one answer."""
        text = f"chaos-{number:05} {notes.text(number % 10_000)}" + (
            f" {KILLS}" if kind == KILLS else ""
        )
        fields = {
            "document_id": document_id,
            "revision": revision,
            "submitted_at": int(time.time() * 1000),
            "language": "en",
            "max_words": FEW_WORDS if kind == "few words" else ENOUGH_WORDS,
            "sensitivity": "restricted" if kind in {"restricted", KILLS} else "public",
        }
        if kind == "by reference":
            text += " " + " ".join(
                f"{notes.NOUNS[word % 10]} {word}" for word in range(BODY_WORDS // 2)
            )
            digest = digests.sha256(text.encode())
            key = digests.body_key(TENANT, document_id, revision, digest)
            self.put_body(key, text.encode())
            fields |= {"body": {"key": key, "sha256": digest, "size_bytes": len(text.encode())}}
        else:
            fields |= {"text": text}
        self.send(kind, self.schema.encode(fields), document_id, fields, text)

    def send(
        self, kind: str, value: bytes, key: str, document: dict | None = None, text: str = ""
    ) -> None:
        def delivered(error, message):
            if error:
                self.failed.append(str(error))
            else:
                position = (message.topic(), message.partition(), message.offset())
                self.acknowledged.append(Sent(kind, value, position, document, text))

        headers = [("precis-schema", self.schema.header.encode())]
        self.producer.produce(TOPIC, value, key.encode(), headers=headers, on_delivery=delivered)
        self.producer.poll(0)

    def fresh(self, count: int) -> set[tuple[str, str, int]]:
        """Publishes so many plain documents at once and returns their identities once they are acknowledged."""
        before = len(self.acknowledged)
        for _ in range(count):
            self.publish("plain")
        left = self.producer.flush(60)
        assert not left, f"{left} of {count} fresh documents were not acknowledged within a minute"
        return {sent.identity for sent in self.acknowledged[before:]}
