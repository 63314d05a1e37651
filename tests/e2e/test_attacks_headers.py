"""Attackers who may write to a topic: to a tenant's own documents, with headers that only Précis may write; to `work.*` and
`escalations`, which their access should not have let them.

Whoever counts documents by outcomes without `precis-repeat` counts right; nothing leaves under a forged label, nothing is settled in
a tenant's name that did not ask, and no answer is found or stored under another request's fingerprint.
"""

import time

import digests
import notes
import oracle
import poison_inner
import poison_kinds
import wire
from deployment import API, PERMISSIVE, TENANT
from test_poison import EmbeddedPublisher, KafkaPublisher

WAIT_SECONDS = 120
SECRET = "The merger with the lighthouse company is planned for the spring."


def waited(read, enough, what: str):
    """What `read` returns once it is enough."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not enough(found := read()):
        assert time.monotonic() < deadline, f"waited {WAIT_SECONDS} s for {what}"
        time.sleep(0.2)
    return found


class Attack:
    """What an attacker sends, and what came of it."""

    def __init__(self, deployment, publisher):
        self.deployment, self.publisher = deployment, publisher

    def send(
        self, value: bytes, topic: str = poison_kinds.TOPIC, headers=(), proved: bool = False
    ) -> None:
        sent = poison_kinds.Sent(value, b"k", tuple(headers), topic, proved=proved)
        self.publisher.send(sent, "attack")
        self.publisher.flush()

    def outcomes(self, count: int) -> list:
        return waited(
            lambda: self.publisher.read("summaries"),
            lambda records: len(records) >= count,
            f"{count} outcomes",
        )

    def letters(self, count: int) -> list[dict]:
        records = waited(
            lambda: self.publisher.read("dead-letters"),
            lambda records: len(records) >= count,
            f"{count} dead letters",
        )
        return [wire.schema("dead_letter").decode(record.value) for record in records]


def attacked(deployment, publisher, llmock) -> None:
    attack = Attack(deployment, publisher)
    published = claimed_origins(attack)
    published |= returned(attack)
    forged_work(attack, llmock)
    published |= forged_fingerprint(attack, llmock)
    # The four copies of one document are one outcome and three repeats.
    deployment.assert_settled(published, repeats=3)


def claimed_origins(attack: Attack) -> set[oracle.Identity]:
    """The same document four times, three of them under the origin of the first one: three repeats, whatever they say."""
    note = notes.note(1)
    value = poison_kinds.encode(note)
    attack.send(value)
    first = wire.schema("outcome").decode(attack.outcomes(1)[0].value)["origin"]
    origin = f"{first['topic']}/{first['partition']}/{first['offset']}".encode()
    for _ in range(3):
        attack.send(value, headers=[("precis-origin", origin), ("precis-attempts", b"2")])
    records = attack.outcomes(4)
    assert sorted(map(oracle.is_repeat, records)) == [False, True, True, True]
    return {(TENANT, note["document_id"], 0)}


def returned(attack: Attack) -> set[oracle.Identity]:
    """A document that fails for a while is tried again on `returns`, where its publisher's headers are gone, as often as any other."""
    digest = digests.sha256(b"nowhere")
    key = digests.body_key(TENANT, "returned", 0, digest)
    body = {"key": key, "sha256": digest, "size_bytes": 7}
    forged = [("precis-attempts", b"2"), ("precis-replay", b"true"), ("own", b"kept")]
    attack.send(
        poison_kinds.encode(notes.note(2, document_id="returned", text=None, body=body)),
        headers=forged,
    )
    letter = attack.letters(1)[0]
    assert (letter["topic"], letter["code"], letter["attempts"]) == ("returns", "body_missing", 3)
    copies = attack.publisher.read("returns")
    assert [copy.header("precis-attempts") for copy in copies] == [b"1", b"2"]
    assert all(copy.header("own") == b"kept" for copy in copies)
    assert all(copy.header("precis-replay") is None for copy in copies)
    outcome = oracle.first_outcomes(attack.outcomes(5))[TENANT, "returned", 0]
    assert (outcome["status"], outcome["origin"]["topic"]) == ("failed", poison_kinds.TOPIC)
    return {(TENANT, "returned", 0)}


def forged_work(attack: Attack, llmock) -> None:
    """A restricted document relabelled for a provider, in a stranger's name, on both topics between router and workers; without a
    proof, with the proof of another record, and with a made-up one."""
    inner = poison_kinds.document("forged", text=SECRET, document_id="forged")
    work = wire.schema("routed_document").encode(
        poison_inner.routed("forged", document=poison_kinds.encode(inner), tenant="victim")
    )
    trial = {"tier": "api", "result": "refused", "code": "x", "policy_digest": "", "at": 0}
    escalation = wire.schema("escalation").encode({"routed": work, "trial": trial})
    borrowed = attack.publisher.read(poison_inner.WORK)[0].header("precis-proof")
    for value, topic in ((work, poison_inner.WORK), (escalation, poison_inner.ESCALATIONS)):
        for proof in ([], [("precis-proof", borrowed)], [("precis-proof", b"00" * 32)]):
            attack.send(value, topic, proof)
    letters = [letter for letter in attack.letters(7) if letter["code"] != "body_missing"]
    assert len(letters) == 6 and {letter["code"] for letter in letters} == {"unproved"}
    assert {letter["tenant"] for letter in letters} == {None}
    assert SECRET not in str(llmock.requests())
    assert not attack.deployment.store.objects("results/victim/")
    assert not attack.deployment.store.objects("cache/victim/")


def forged_fingerprint(attack: Attack, llmock) -> set[oracle.Identity]:
    """Work of somebody who even has the key, under the fingerprint of another request: it is refused, and that request is asked anew."""
    victim = notes.note(3)
    fingerprint = digests.request_fingerprint(TENANT, victim, victim["text"])
    before = attack.deployment.store.objects("cache/").keys()
    inner = poison_kinds.document("poisoner", text=SECRET, document_id="poisoner")
    forged = poison_inner.routed(
        "p", document=poison_kinds.encode(inner), request_fingerprint=fingerprint
    )
    attack.send(wire.schema("routed_document").encode(forged), poison_inner.WORK, proved=True)
    codes = [letter["code"] for letter in attack.letters(8)]
    assert codes.count("request_mismatch") == 1
    assert attack.deployment.store.objects("cache/").keys() == before
    assert SECRET not in str(llmock.requests())
    asked = len(llmock.requests())
    attack.send(poison_kinds.encode(victim))
    attack.outcomes(6)
    assert len(llmock.requests()) == asked + 1
    return {(TENANT, victim["document_id"], 0)}


def test_headers_and_work_of_attackers_on_kafka(kafka_deployment, llmock):
    deployment = kafka_deployment(API, llmock=llmock, checks=PERMISSIVE)
    deployment.start("precis-router")
    deployment.start("precis-api-worker")
    attacked(deployment, KafkaPublisher(deployment), llmock)


def test_headers_and_work_of_attackers_on_the_embedded_log(embedded_deployment, llmock):
    deployment = embedded_deployment(API, llmock=llmock, checks=PERMISSIVE)
    deployment.start("precis", "up")
    attacked(deployment, EmbeddedPublisher(deployment), llmock)
