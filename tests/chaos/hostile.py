"""A tenant that means harm, all through a run: floods of garbage, bodies at and above the limit that many records name, forged control
headers, labels that are none, documents in another tenant's name.

Its own topic, which nothing else publishes to. What is held: each of its records has an end, as an outcome or a dead letter; and the
other tenants' documents keep every bound that they have without it, since it goes on until the run's fresh documents are settled.
How its documents end is held by `tests/e2e/poison.py`, not here. Its share is modest: what it costs is no more than what others publish.
"""

import threading
import time
from collections import Counter
from dataclasses import dataclass
from random import Random

import digests
import notes
import oracle
import wire
from confluent_kafka import Producer
from kafka import QUIET
from publisher import ENOUGH_WORDS, TIMEOUT_MS
from publisher import TENANT as ANOTHER
from verdict import Ends, Facts, Finding, Findings, letter

TENANT = "hostile"
TOPIC = f"documents.{TENANT}"
PREFIX = "hostile/"
# Between two attacks of one record each, and between two floods.
ATTACK_SECONDS = 1.0
FLOOD_SECONDS = (45.0, 70.0)
FIRST_FLOOD_SECONDS = 8.0
# More in a row than the results that may pause a topic; and fewer of those that cost a request to the store each.
GARBAGE, UNSERVABLE = 250, 20
# Of the policy that a run has: small enough for the store of a busy machine, large enough to be felt.
MAX_TEXT_BYTES = 4 * 1024 * 1024
# How many records name one body.
NAMINGS = 4
# Nearly all that one record may have.
INLINE_BYTES = 900_000
# Headers by which services speak to each other.
FORGED = [
    ("precis-origin", f"documents.{ANOTHER}/0/0".encode()),
    ("precis-attempts", b"7"),
    ("precis-replay", b"true"),
    ("precis-repeat", b"true"),
    ("precis-code", b"id_conflict"),
]
LABELS = (
    {"max_words": 1},
    {"language": "no tag at all!"},
    {"document_type": "x" * 300},
    {"title": "x" * 2_000},
    {"subject_ids": [f"subject {number}" for number in range(101)]},
    {"content_type": "application/pdf"},
    {"deadline": -1},
)


@dataclass(frozen=True)
class Attack:
    """One acknowledged record; `identity` where it is a document whose outcome may be its end."""

    position: tuple[str, int, int]
    identity: oracle.Identity | None

    def has_ended(self, firsts, letters) -> bool:
        place = "/".join(map(str, self.position))
        return self.identity in firsts or f"router/{place}" in letters


class Hostile:
    """Attacks from a thread of its own until told to stop. `put_body(key, bytes)` stores a text."""

    def __init__(self, brokers: str, put_body, seed: int):
        self.brokers, self.put_body = brokers, put_body
        self.random = Random(f"precis chaos hostile 1 {seed}")
        self.schema = wire.schema("document")
        self.number = 0
        self.sent: list[Attack] = []
        # Documents that were not acknowledged: they may have an outcome or not.
        self.unknown: set[oracle.Identity] = set()
        self.counts: Counter[str] = Counter()
        self.bodies: dict[int, dict] = {}
        self.producer: Producer | None = None
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run, name="chaos-hostile")

    def start(self) -> None:
        self.thread.start()

    def stop(self) -> None:
        """Ends with everything that was sent acknowledged or given up."""
        self.stopping.set()
        if self.thread.ident is not None:
            self.thread.join()

    @property
    def is_over(self) -> bool:
        return self.stopping.is_set()

    def run(self) -> None:
        self.producer = Producer(
            QUIET
            | {
                "bootstrap.servers": self.brokers,
                "acks": "all",
                "enable.idempotence": True,
                "linger.ms": 5,
                "delivery.timeout.ms": TIMEOUT_MS,
            }
        )
        flood_at = time.monotonic() + FIRST_FLOOD_SECONDS
        while not self.stopping.wait(ATTACK_SECONDS):
            self.random.choice(self.attacks())()
            if time.monotonic() >= flood_at:
                self.flood()
                flood_at = time.monotonic() + self.random.uniform(*FLOOD_SECONDS)
        self.producer.flush(TIMEOUT_MS / 1000)

    def attacks(self) -> list:
        """Every attack of one record."""
        return [
            self.garbage,
            self.malformed,
            self.forged_headers,
            self.invalid_labels,
            self.in_anothers_name,
        ]

    def flood(self) -> None:
        """Much at once: garbage, documents that nobody can serve, and large texts, by reference and inline."""
        self.counts["hostile floods"] += 1
        for _ in range(GARBAGE):
            self.garbage()
        for _ in range(UNSERVABLE):
            self.document(max_words=1)
        for size in (MAX_TEXT_BYTES, MAX_TEXT_BYTES + 1):
            for _ in range(NAMINGS):
                self.document(text=None, body=self.body(size))
        self.document(text=" " * INLINE_BYTES)

    def garbage(self) -> None:
        self.send(f"attack {self.next()} is no Avro".encode())

    def malformed(self) -> None:
        """It says that it is a document, and is cut off."""
        self.send(self.schema.prefix + self.random.randbytes(self.random.randrange(1, 40)))

    def forged_headers(self) -> None:
        self.document(headers=FORGED)

    def invalid_labels(self) -> None:
        self.document(**self.random.choice(LABELS))

    def in_anothers_name(self) -> None:
        self.document(tenant=ANOTHER)

    def document(self, headers=(), **fields) -> None:
        number = self.next()
        document = {
            "document_id": f"{PREFIX}{number:06}",
            "revision": 0,
            "submitted_at": int(time.time() * 1000),
            "language": "en",
            "max_words": ENOUGH_WORDS,
            "sensitivity": "public",
            "text": f"chaos-hostile-{number:06} {notes.text(number % 10_000)}",
        } | fields
        identity = (TENANT, document["document_id"], 0)
        self.send(self.schema.encode(document), identity, headers)

    def body(self, size: int) -> dict:
        """The reference to a text of so many bytes without a word, which is stored when first asked for."""
        if size not in self.bodies:
            text = b" " * size
            digest = digests.sha256(text)
            key = digests.body_key(TENANT, f"{PREFIX}body", 0, digest)
            self.put_body(key, text)
            self.bodies[size] = {"key": key, "sha256": digest, "size_bytes": size}
        return self.bodies[size]

    def next(self) -> int:
        self.number += 1
        return self.number

    def send(self, value: bytes, identity: oracle.Identity | None = None, headers=()) -> None:
        if identity:
            self.unknown.add(identity)

        def delivered(error, message):
            if not error:
                self.unknown.discard(identity)
                self.counts["hostile records"] += 1
                position = (message.topic(), message.partition(), message.offset())
                self.sent.append(Attack(position, identity))

        named = [("precis-schema", self.schema.header.encode()), *headers]
        key = str(self.number).encode()
        self.producer.produce(TOPIC, value, key, headers=named, on_delivery=delivered)
        self.producer.poll(0)

    def unfinished(self, ends: Ends) -> int:
        """How many of its records have no end yet, once it has stopped."""
        return sum(not one.has_ended(ends.firsts, ends.letters) for one in self.sent)

    def judge(self, summaries, letters) -> list[Finding]:
        """Every breach, in what is about this tenant alone."""
        return judge(list(self.sent), self.unknown, summaries, letters)


def judge(sent: list[Attack], unknown: set[oracle.Identity], summaries, letters) -> list[Finding]:
    """Each record has an end, and no document has two; `unknown` may have one."""
    findings = Findings()
    firsts: Counter[oracle.Identity] = Counter()
    for outcome, record in oracle.outcomes(summaries):
        who = oracle.identity(outcome)
        if who[0] == TENANT:
            firsts[who] += not oracle.is_repeat(record)
    ids = {letter(record).id for record in letters}
    for one in sent:
        if not one.has_ended(firsts, ids):
            findings.add("lost", "record of the hostile tenant without an end", one.position)
    for who, count in firsts.items():
        if count > 1:
            findings.add("duplicate", f"{count} outcomes of a hostile document", who)
    for who in firsts.keys() - unknown - {one.identity for one in sent}:
        findings.add("stranger", "outcome of a hostile document that nobody published", who)
    return findings.all()


def without_ours(facts: Facts) -> Facts:
    """The facts about all other tenants."""
    return facts.without(TENANT, is_of_ours)


def is_of_ours(record) -> bool:
    """Whether a dead letter is of a record of this tenant's topic, or of work for one of its documents."""
    one = letter(record)
    of_document = one.identity is not None and one.identity[1].startswith(PREFIX)
    return of_document or f"/{TOPIC}/" in one.id
