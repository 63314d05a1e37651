"""What the hostile tenant's records must come to, and that the oracle of the others does not see them."""

import itertools
from dataclasses import replace
from types import SimpleNamespace

import digests
import hostile
import pytest
import verdict
import wire
from hostile import ANOTHER, MAX_TEXT_BYTES, TENANT, TOPIC, Attack, Hostile
from test_verdict import GOOD, ONE, filled, outcome, record

DOCUMENT = Attack((TOPIC, 0, 7), (TENANT, "hostile/000001", 0))
GARBAGE = Attack((TOPIC, 0, 8), None)


def settled(attack: Attack, repeat: bool = False):
    tenant, document_id, _ = attack.identity
    return record(outcome(ONE, tenant=tenant, document_id=document_id), repeat=repeat)


def dead(attack: Attack, value: bytes = b"", stage: str = "router"):
    topic, partition, offset = attack.position
    known = {
        "id": f"{stage}/{topic}/{partition}/{offset}",
        "code": "malformed_record",
        "value": value,
        "topic": topic,
        "partition": partition,
        "offset": offset,
        "failed_at": 1,
    }
    return record(filled("dead_letter", known), "dead-letters")


def names(summaries, letters) -> list[str]:
    found = hostile.judge([DOCUMENT, GARBAGE], set(), summaries, letters)
    return sorted(finding.name for finding in found)


@pytest.mark.parametrize(
    ("summaries", "letters"),
    [
        ([settled(DOCUMENT)], [dead(GARBAGE)]),
        ([], [dead(DOCUMENT), dead(GARBAGE)]),
        ([settled(DOCUMENT)], [dead(DOCUMENT), dead(GARBAGE)]),
        ([settled(DOCUMENT), settled(DOCUMENT, repeat=True), *GOOD.summaries], [dead(GARBAGE)]),
    ],
)
def test_outcome_or_dead_letter_is_an_end(summaries, letters):
    assert names(summaries, letters) == []


def test_every_record_has_an_end_and_no_document_two():
    assert names([settled(DOCUMENT)], []) == ["lost"]
    assert names([], [dead(GARBAGE), dead(DOCUMENT, stage="work.gpu")]) == ["lost"]
    assert names([settled(DOCUMENT)] * 2, [dead(GARBAGE)]) == ["duplicate"]
    stranger = Attack((TOPIC, 0, 9), (TENANT, "hostile/000002", 0))
    assert names([settled(DOCUMENT), settled(stranger)], [dead(GARBAGE)]) == ["stranger"]
    assert hostile.judge([], {stranger.identity}, [settled(stranger)], []) == []


def test_the_other_tenants_are_judged_without_this_one():
    ours = settled(DOCUMENT)
    cut_off = wire.schema("document").prefix + b"\xff"
    work = Attack(("work.gpu", 0, 3), None)
    letters = [dead(GARBAGE, cut_off), dead(work, document({"document_id": "hostile/000001"}))]
    facts = replace(
        GOOD,
        summaries=[*GOOD.summaries, ours],
        letters=[*GOOD.letters, *letters],
        objects=GOOD.objects | {f"results/{TENANT}/x": ours.value},
    )
    assert hostile.without_ours(facts) == GOOD
    assert verdict.judge(hostile.without_ours(facts)) == []


def document(fields: dict) -> bytes:
    return wire.schema("document").encode(ONE.document | fields)


class Log:
    """A producer that acknowledges at once, and keeps what it was given."""

    def __init__(self):
        self.records, self.offsets = [], itertools.count()

    def produce(self, topic, value, key, headers, on_delivery):
        self.records.append((value, headers))
        offset = next(self.offsets)
        at = SimpleNamespace(topic=lambda: topic, partition=lambda: 0, offset=lambda: offset)
        on_delivery(None, at)

    def poll(self, _seconds):
        """Everything was told already."""


@pytest.fixture
def attacker():
    bodies = {}
    one = Hostile("", bodies.__setitem__, 1)
    one.producer, one.stored = Log(), bodies
    return one


def test_every_attack_is_one_record_that_is_kept(attacker):
    attacks = attacker.attacks()
    for attack in attacks:
        attack()
    assert len(attacker.sent) == len(attacker.producer.records) == len(attacks)
    forged = [headers for _, headers in attacker.producer.records if len(headers) > 1]
    assert forged == [[("precis-schema", b"document.v1"), *hostile.FORGED]]
    readable = [decoded(value) for value, _ in attacker.producer.records]
    assert [one["tenant"] for one in readable if one and one["tenant"]] == [ANOTHER]
    assert readable.count(None) == 2, "garbage, and what is cut off"


def test_a_flood_has_more_garbage_than_may_pause_a_topic(attacker):
    attacker.flood()
    values = [value for value, _ in attacker.producer.records]
    readable = [one for one in map(decoded, values) if one]
    assert len(values) - len(readable) == hostile.GARBAGE > 200
    keys = [one["body"]["key"] for one in readable if one["body"]]
    assert len(keys) == 2 * hostile.NAMINGS and set(keys) == attacker.stored.keys()
    assert {len(data) for data in attacker.stored.values()} == {MAX_TEXT_BYTES, MAX_TEXT_BYTES + 1}
    assert all(digests.sha256(data) in key for key, data in attacker.stored.items())
    assert max(map(len, values)) < 1_000_000, "what the log takes"
    assert attacker.counts == {"hostile floods": 1, "hostile records": len(values)}


def decoded(value: bytes) -> dict | None:
    try:
        return wire.schema("document").decode(value)
    except Exception:
        return None


@pytest.mark.parametrize("fields", hostile.LABELS)
def test_invalid_labels_are_records_all_the_same(attacker, fields):
    attacker.document(**fields)
    ((value, _),) = attacker.producer.records
    assert decoded(value)["document_id"].startswith(hostile.PREFIX)
