"""An operator who deletes a topic of documents and makes it again, time and again, while everything else goes wrong.

One tenant's topic, which nothing else publishes to. What was acknowledged in a topic that was deleted later went by the operator's
hand: it may have its outcome or not. Everything that was acknowledged in the last one must have exactly one, whatever was read of
those before. The same identities are never published in two of them.
"""

import contextlib
import threading
import time
from random import Random

import notes
import oracle
import wire
from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic
from kafka import QUIET, KafkaLog
from publisher import ENOUGH_WORDS, TIMEOUT_MS
from verdict import Facts, Finding, Findings, letter

TENANT = "remade"
TOPIC = f"documents.{TENANT}"
PREFIX = "remade/"
PARTITIONS = 4
# Few: the stream of all others is what is measured.
PER_SECOND = 2.0
# How long a topic lives, at least and at most.
LIVES_SECONDS = (12.0, 25.0)
# In between it is gone for so long: at once, or so long that members see it gone.
GONE_SECONDS = (0.0, 0.0, 4.0)
RETRY_SECONDS = 0.1


class Recreation:
    """Publishes and makes the topic again from a thread of its own until told to stop."""

    def __init__(self, kafka: KafkaLog, seed: int):
        self.kafka, self.random = kafka, Random(f"precis chaos recreation 1 {seed}")
        self.schema = wire.schema("document")
        self.number = self.recreated = 0
        # Acknowledged in a topic that is gone, in this one, and not told yet.
        self.gone: set[oracle.Identity] = set()
        self.present: set[oracle.Identity] = set()
        self.unknown: set[oracle.Identity] = set()
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run, name="chaos-operator")

    def start(self) -> None:
        self.thread.start()

    def stop(self) -> None:
        """Ends with a topic that stays, and everything sent to it acknowledged or given up."""
        self.stopping.set()
        if self.thread.ident is not None:
            self.thread.join()

    def run(self) -> None:
        while True:
            self.publish_for(self.random.uniform(*LIVES_SECONDS))
            if self.stopping.is_set():
                return
            self.recreate(self.random.choice(GONE_SECONDS))

    def publish_for(self, seconds: float) -> None:
        """A publisher that lives as long as this topic: one that outlived it would know its leaders no better than others do."""
        producer = Producer(
            QUIET
            | {
                "bootstrap.servers": self.kafka.brokers,
                "enable.idempotence": True,
                "acks": "all",
                "delivery.timeout.ms": TIMEOUT_MS,
            }
        )
        over = time.monotonic() + seconds
        while time.monotonic() < over and not self.stopping.wait(1 / PER_SECOND):
            self.send(producer)
        producer.flush(TIMEOUT_MS / 1000)

    def send(self, producer: Producer) -> None:
        self.number += 1
        text = f"chaos-remade-{self.number:05} {notes.text(self.number % 10_000)}"
        fields = {
            "document_id": f"{PREFIX}{self.number:05}",
            "revision": 0,
            "submitted_at": int(time.time() * 1000),
            "language": "en",
            "max_words": ENOUGH_WORDS,
            "sensitivity": "public",
            "text": text,
        }
        who = (TENANT, fields["document_id"], 0)
        self.unknown.add(who)

        def delivered(error, _message):
            if not error:
                self.unknown.discard(who)
                self.present.add(who)

        producer.produce(
            TOPIC,
            self.schema.encode(fields),
            fields["document_id"].encode(),
            on_delivery=delivered,
            headers=[("precis-schema", self.schema.header.encode())],
        )
        producer.poll(0)

    def recreate(self, gone_seconds: float) -> None:
        self.until(
            False,
            lambda admin: admin.delete_topics([TOPIC], operation_timeout=10, request_timeout=15),
        )
        self.gone |= self.present
        self.present = set()
        time.sleep(gone_seconds)
        self.until(
            True,
            lambda admin: admin.create_topics(
                [NewTopic(TOPIC, PARTITIONS, 1)], operation_timeout=10, request_timeout=15
            ),
        )
        self.recreated += 1

    def until(self, is_there: bool, ask) -> None:
        """Asks until the topic is there or not: the broker may be down just now, and its answers may be lost. Each time by another client:
        one that the broker died under may not find it again."""
        while True:
            with contextlib.suppress(KafkaException):
                admin = AdminClient(QUIET | {"bootstrap.servers": self.kafka.brokers})
                if (TOPIC in admin.list_topics(timeout=5).topics) == is_there:
                    return
                for future in ask(admin).values():
                    future.result(20)
            time.sleep(RETRY_SECONDS)

    def unfinished(self, firsts: set[oracle.Identity]) -> int:
        """How many documents of the last topic have no outcome yet."""
        return len(self.present - firsts)

    def judge(self, summaries) -> list[Finding]:
        """Every breach, in what is about this tenant alone."""
        return judge(self.present, self.gone | self.unknown, summaries)


def judge(present: set[oracle.Identity], excused: set[oracle.Identity], summaries) -> list[Finding]:
    """`present` must have one outcome each, `excused` at most one; repeats left out."""
    findings = Findings()
    firsts: dict[oracle.Identity, int] = {}
    for outcome, record in oracle.outcomes(summaries):
        who = oracle.identity(outcome)
        if who[0] != TENANT:
            continue
        if who not in present | excused:
            findings.add("stranger", "outcome of a document that nobody published", who)
        if not oracle.is_repeat(record):
            firsts[who] = firsts.get(who, 0) + 1
    for who in sorted(present - firsts.keys()):
        findings.add("lost", "document of a topic that was made again, without an outcome", who)
    for who, count in firsts.items():
        if count > 1:
            findings.add(
                "duplicate",
                f"{count} outcomes that are no repeats, of a topic that was made again",
                who,
            )
    return findings.all()


def without_ours(facts: Facts) -> Facts:
    """The facts about all other tenants."""
    return facts.without(TENANT, is_of_ours)


def is_of_ours(record) -> bool:
    """Whether a dead letter is of a document of this tenant."""
    identity = letter(record).identity
    return identity is not None and identity[1].startswith(PREFIX)
