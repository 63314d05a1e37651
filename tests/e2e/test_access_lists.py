"""The access control lists that `precis topics acls` prints, on a broker that denies everything else: with them everything
works, and no role can do what another's is."""

import json
import time

import notes
import pytest
import servers
import wire
from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)
from deployment import API, PERMISSIVE, TENANT, KafkaDeployment
from kafka import QUIET, WAIT_SECONDS, KafkaLog
from oracle import settled

USERS = (
    "precis-router",
    "precis-api-worker",
    "precis-operator",
    "precis-reader",
    f"publisher-{TENANT}",
)
DOCUMENTS = 5
TYPES = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "transactional-id": ResourceType.TRANSACTIONAL_ID,
}
OPERATIONS = {
    "Read": AclOperation.READ,
    "Write": AclOperation.WRITE,
    "Create": AclOperation.CREATE,
    "Describe": AclOperation.DESCRIBE,
    "DescribeConfigs": AclOperation.DESCRIBE_CONFIGS,
}


class GuardedKafka(servers.Kafka):
    """A broker that denies what no list allows. Its second listener asks who a client is; on the first, anybody is an administrator."""

    def prepare(self) -> None:
        super().prepare()
        self.guarded = servers.free_port()
        users = " ".join(f'user_{user}="{user}"' for user in USERS)
        login = "org.apache.kafka.common.security.plain.PlainLoginModule"
        lines = []
        for line in self.config.read_text().splitlines():
            name, _, value = line.partition("=")
            if name in {"listeners", "advertised.listeners"}:
                value += f",GUARDED://{servers.LOOPBACK}:{self.guarded}"
            elif name == "listener.security.protocol.map":
                value += ",GUARDED:SASL_PLAINTEXT"
            lines.append(f"{name}={value}" if value else line)
        lines += [
            "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "allow.everyone.if.no.acl.found=false",
            "super.users=User:ANONYMOUS",
            "sasl.enabled.mechanisms=PLAIN",
            f"listener.name.guarded.plain.sasl.jaas.config={login} required {users};",
        ]
        self.config.write_text("\n".join(lines) + "\n")


class GuardedDeployment(KafkaDeployment):
    """Each process is its own principal; operators alone create topics."""

    guarded = 0

    def __init__(self, *arguments, **more):
        self.producers: dict[str, Producer] = {}
        super().__init__(*arguments, **more)

    def log_settings(self, instance: str) -> dict:
        settings = super().log_settings(instance)
        user = "precis-operator" if instance == "cli" else f"precis-{instance}"
        settings["kafka"] |= {
            "brokers": f"{servers.LOOPBACK}:{self.guarded}",
            "security": {
                "protocol": "sasl_plaintext",
                "sasl_mechanism": "PLAIN",
                "username": user,
                "password": user,
            },
        }
        return settings

    def settings(self, instance: str, port: int) -> dict:
        settings = super().settings(instance, port)
        settings["topics"]["create"] = instance == "cli"
        return settings

    def client(self, user: str) -> dict:
        """Options of a client of its own."""
        return QUIET | {
            "bootstrap.servers": f"{servers.LOOPBACK}:{self.guarded}",
            "security.protocol": "sasl_plaintext",
            "sasl.mechanism": "PLAIN",
            "sasl.username": user,
            "sasl.password": user,
        }

    def may_write(self, user: str, topic: str, key: bytes = b"", value: bytes = b"") -> bool:
        """Whether a record of this user's arrives; the topic itself tells, since the client's reports of refused records raise errors."""
        before = self.kafka.end_offsets(topic)
        if user not in self.producers:
            options = self.client(user) | {"message.timeout.ms": 10_000}
            self.producers[user] = Producer(options)
        producer = self.producers[user]
        producer.produce(topic, value, key)
        assert producer.flush(30) == 0
        return self.kafka.end_offsets(topic) > before

    def may_read(self, user: str, topic: str, group: str) -> bool:
        consumer = Consumer(
            self.client(user) | {"group.id": group, "auto.offset.reset": "earliest"}
        )
        consumer.subscribe([topic])
        deadline = time.monotonic() + WAIT_SECONDS
        try:
            while time.monotonic() < deadline:
                if message := consumer.poll(1):
                    return message.error() is None
        except KafkaException:
            return False
        finally:
            consumer.close()
        return False


@pytest.fixture
def guarded(running, llmock, tmp_path):
    broker = GuardedKafka(tmp_path / "guarded")
    broker.start()
    kafka = KafkaLog(f"{servers.LOOPBACK}:{broker.port}")
    deployment = GuardedDeployment(
        tmp_path, [API], kafka, running["s3"].url, llmock=llmock, checks=PERMISSIVE
    )
    deployment.guarded = broker.guarded
    yield deployment
    deployment.close()
    kafka.close()
    broker.stop()


def allow(kafka: KafkaLog, grants: list[dict]) -> None:
    bindings = [
        AclBinding(
            TYPES[grant["resource"]],
            grant["name"],
            ResourcePatternType.PREFIXED if grant["prefixed"] else ResourcePatternType.LITERAL,
            grant["principal"],
            "*",
            OPERATIONS[operation],
            AclPermissionType.ALLOW,
        )
        for grant in grants
        if grant["resource"] in TYPES
        for operation in grant["operations"]
    ]
    for future in kafka.admin.create_acls(bindings).values():
        future.result(60)


def test_printed_lists_allow_what_is_done_and_nothing_else(guarded):
    grants = guarded.cli("topics", "acls", "--tenant", TENANT, "--json")
    allow(guarded.kafka, [json.loads(line) for line in grants.stdout.splitlines()])
    guarded.cli("topics", "apply", "--tenant", TENANT, "--tenant", "other")
    guarded.start("precis-router")
    guarded.start("precis-api-worker")

    schema = wire.schema("document")
    documents = [notes.note(number, max_words=10) for number in range(DOCUMENTS)]
    for document in documents:
        key, value = document["document_id"].encode(), schema.encode(document)
        assert guarded.may_write(f"publisher-{TENANT}", f"documents.{TENANT}", key, value)
    assert guarded.may_write(f"publisher-{TENANT}", f"documents.{TENANT}", b"k", b"no Avro")
    summaries = guarded.kafka.follow("summaries")
    summaries.until(settled(DOCUMENTS), "all outcomes")
    letters = guarded.kafka.follow("dead-letters")
    letters.until(lambda records: len(records) == 1, "the dead letter")
    assert guarded.may_read("precis-reader", "summaries", "summaries-reader-test")

    # What the publisher and the reader may not.
    for topic in (
        "documents.other",
        "work.api",
        "escalations",
        "control",
        "audit",
        "summaries",
        "dead-letters",
        "ledger",
    ):
        assert not guarded.may_write(f"publisher-{TENANT}", topic), topic
    assert not guarded.may_read("precis-reader", f"documents.{TENANT}", "summaries-reader-test")
    assert not guarded.may_read("precis-reader", "summaries", "precis.router")
    stranger = AdminClient(guarded.client(f"publisher-{TENANT}"))
    with pytest.raises(KafkaException):
        stranger.create_topics([NewTopic("documents.third", 1)])["documents.third"].result(30)

    # What operators do.
    guarded.cli("dead-letters", "replay", "--all")
    guarded.cli("tiers", "off", "api", "--reason", "test")
    guarded.cli("status")
    doctor = guarded.cli("doctor", "--quick", "--json", check=False)
    verdicts = {
        finding["check"]: finding["verdict"]
        for finding in map(json.loads, doctor.stdout.splitlines())
    }
    for check in ("topics", "transactions", "hanging"):
        assert verdicts[check] == "ok", doctor.stdout.decode()
    guarded.drain()
    assert "uthorization" not in guarded.logs(), guarded.logs()
