"""Kafka as an outside client sees it, through confluent-kafka: publishing, and reading committed records to the end."""

import time
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

WAIT_SECONDS = 300
# Brokers that a test kills are missed by these clients too, and every lost connection would be a line on the test's output.
QUIET = {"log_level": 2}


@dataclass(frozen=True)
class Record:
    """A record as it lies in a topic."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]

    def header(self, name: str) -> bytes | None:
        return next((value for key, value in reversed(self.headers) if key == name), None)


class KafkaLog:
    """One cluster."""

    def __init__(self, brokers: str):
        self.brokers = brokers
        self.admin = AdminClient(QUIET | {"bootstrap.servers": brokers})
        self.followers: list[Follower] = []

    def publish(
        self,
        topic: str,
        records: list[tuple[bytes | None, bytes, list[tuple[str, bytes]]]],
        pause_seconds: float = 0.0,
    ) -> int:
        """Publishes (key, value, headers) and returns once every record is acknowledged by the broker."""
        producer = Producer(
            QUIET
            | {
                "bootstrap.servers": self.brokers,
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": 5,
            }
        )
        failures, acknowledged = [], []

        def delivered(error, message):
            (failures if error else acknowledged).append(error or message.offset())

        for key, value, headers in records:
            producer.produce(topic, value, key, headers=headers, on_delivery=delivered)
            producer.poll(pause_seconds)
        assert producer.flush(60) == 0 and not failures, f"not acknowledged: {failures[:3]}"
        return len(acknowledged)

    def follow(self, topic: str, isolation: str = "read_committed") -> "Follower":
        """A reader of the topic from its start; `close` closes it too."""
        self.followers.append(Follower(self.brokers, topic, isolation))
        return self.followers[-1]

    def read(self, topic: str, isolation: str = "read_committed") -> list[Record]:
        """Every committed record of a topic up to where its end is now; with `read_uncommitted`, every record."""
        return self.follow(topic, isolation).to_the_end()

    def close(self) -> None:
        while self.followers:
            self.followers.pop().close()

    def topics(self) -> set[str]:
        return {
            name for name in self.admin.list_topics(timeout=30).topics if not name.startswith("__")
        }

    def end_offsets(self, topic: str) -> int:
        """The sum of a topic's end offsets: how much was ever written to it, transaction markers included."""
        consumer = Consumer(
            QUIET
            | {
                "bootstrap.servers": self.brokers,
                "group.id": "none",
                "isolation.level": "read_committed",
            }
        )
        try:
            partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
            return sum(
                consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=30)[1]
                for p in partitions
            )
        finally:
            consumer.close()

    def open_transactions(self) -> list[tuple[str, int, int, int]]:
        """Partitions, Kafka's own among them, that hold records of a transaction without an end: (topic, partition, stable up to, end)."""
        reads = {
            level: Consumer(
                QUIET
                | {"bootstrap.servers": self.brokers, "group.id": "none", "isolation.level": level}
            )
            for level in ("read_committed", "read_uncommitted")
        }
        try:
            places = [
                TopicPartition(topic, partition)
                for topic, found in self.admin.list_topics(timeout=30).topics.items()
                for partition in found.partitions
            ]
            ends = {
                level: [reader.get_watermark_offsets(place, timeout=30)[1] for place in places]
                for level, reader in reads.items()
            }
            return [
                (place.topic, place.partition, stable, end)
                for place, stable, end in zip(
                    places, ends["read_committed"], ends["read_uncommitted"], strict=True
                )
                if stable < end
            ]
        finally:
            for reader in reads.values():
                reader.close()

    def wipe(self) -> None:
        """Removes every topic and group: the next test's deployment starts empty. Only for a broker that the tests started."""
        if groups := [group.group_id for group in self.admin.list_consumer_groups().result().valid]:
            for future in self.admin.delete_consumer_groups(groups, request_timeout=30).values():
                try:
                    future.result()
                except KafkaException as error:
                    # A killed member keeps its group alive until its session ends; deleting the topics drops the offsets all the same.
                    if error.args[0].code() not in {
                        KafkaError.NON_EMPTY_GROUP,
                        KafkaError.GROUP_ID_NOT_FOUND,
                    }:
                        raise
        if topics := self.topics():
            for future in self.admin.delete_topics(list(topics), operation_timeout=30).values():
                future.result()
        deadline = time.monotonic() + 60
        while self.topics():
            assert time.monotonic() < deadline, f"topics still there: {self.topics()}"
            time.sleep(0.1)


class Follower:
    """Reads a topic from its start, outside of any group."""

    def __init__(self, brokers: str, topic: str, isolation: str):
        self.topic, self.records = topic, []
        self.consumer = Consumer(
            QUIET
            | {
                "bootstrap.servers": brokers,
                "group.id": "precis-e2e-reader",
                "enable.auto.commit": False,
                "isolation.level": isolation,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
            }
        )
        self.partitions = sorted(
            self.consumer.list_topics(topic, timeout=30).topics[topic].partitions
        )
        assert self.partitions, f"topic {topic} has no partitions"
        self.consumer.assign([TopicPartition(topic, partition, 0) for partition in self.partitions])
        self.at_end = set()

    def poll(self, seconds: float = 0.5) -> Record | None:
        message = self.consumer.poll(seconds)
        if message is None:
            return None
        if error := message.error():
            if error.code() == KafkaError._PARTITION_EOF:
                self.at_end.add(message.partition())
                return None
            raise KafkaException(error)
        self.at_end.discard(message.partition())
        record = Record(
            message.topic(),
            message.partition(),
            message.offset(),
            message.key(),
            message.value(),
            tuple(message.headers() or ()),
        )
        self.records.append(record)
        return record

    def until(self, enough, what: str, seconds: float = WAIT_SECONDS) -> list[Record]:
        """Reads on until `enough(records)`; `what` says in the failure what was waited for."""
        deadline = time.monotonic() + seconds
        while not enough(self.records):
            assert time.monotonic() < deadline, (
                f"waited {seconds} s for {what}; {len(self.records)} records on {self.topic}"
            )
            self.poll()
        return self.records

    def to_the_end(self, seconds: float = 60) -> list[Record]:
        """Reads on until every partition's end was reached after this call."""
        self.consumer.assign(
            [
                TopicPartition(self.topic, partition, self.next_offset(partition))
                for partition in self.partitions
            ]
        )
        self.at_end.clear()
        deadline = time.monotonic() + seconds
        while len(self.at_end) < len(self.partitions):
            assert time.monotonic() < deadline, (
                f"the end of {self.topic} was not reached in {seconds} s"
            )
            self.poll()
        return self.records

    def next_offset(self, partition: int) -> int:
        return max(
            (record.offset + 1 for record in self.records if record.partition == partition),
            default=0,
        )

    def close(self) -> None:
        self.consumer.close()
