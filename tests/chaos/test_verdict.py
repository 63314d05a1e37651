"""The oracle of `make chaos` notices each way in which the guarantee can break, and nothing where it holds."""

from dataclasses import replace
from decimal import Decimal

import digests
import pytest
import verdict
import wire
from kafka import Record
from providers import Asked
from publisher import KILLS, TENANT, TOPIC, Sent
from verdict import Facts


def document(number: int, text: str = "", **fields) -> Sent:
    text = text or f"chaos-{number} is a text of seven words"
    fields = {
        "document_id": f"id/{number}",
        "revision": 0,
        "submitted_at": 1,
        "text": text,
        "language": "en",
        "sensitivity": "public",
    } | fields
    return Sent("plain", wire.schema("document").encode(fields), (TOPIC, 0, number), fields, text)


def outcome(sent: Sent, **fields) -> bytes:
    origin = dict(zip(("topic", "partition", "offset"), sent.position, strict=True))
    known = {
        "tenant": TENANT,
        "document_id": sent.document["document_id"],
        "revision": 0,
        "status": "answered",
        "origin": origin,
        "summary": f"{sent.marker} is short.",
        "words_in": 7,
        "request_digest": digests.request_digest(sent.document),
        "request_fingerprint": digests.request_fingerprint(TENANT, sent.document, sent.text),
        "submitted_at": 1,
        "settled_at": 2,
        "cost": Decimal(0),
        "answer_key": f"cache/{sent.marker}",
    }
    return filled("outcome", known | fields)


def filled(name: str, known: dict) -> bytes:
    fields = wire.schema(name).parsed["fields"]
    return wire.schema(name).encode(
        {field["name"]: "" for field in fields if "default" not in field} | known
    )


def record(value: bytes, topic: str = "summaries", repeat: bool = False) -> Record:
    headers = [("precis-schema", wire.schema("outcome").header.encode())] + (
        [("precis-repeat", b"true")] if repeat else []
    )
    return Record(topic, 0, 0, b"key", value, tuple(headers))


def answer(sent: Sent, text: str | None = None) -> bytes:
    model = {"provider": "p", "name": "n", "prompt_digest": ""}
    return filled(
        "answer",
        {
            "text": text or f"{sent.marker} is short.",
            "model": model,
            "input_tokens": 1,
            "output_tokens": 1,
            "accepted": True,
            "cost": Decimal(0),
            "created_at": 1,
            "generation_ms": 1,
            "checks": [],
        },
    )


def dead_letter(value: bytes, code: str, offset: int) -> Record:
    known = {
        "id": f"router/{TOPIC}/0/{offset}",
        "code": code,
        "value": value,
        "topic": TOPIC,
        "partition": 0,
        "offset": offset,
        "failed_at": 1,
    }
    return record(filled("dead_letter", known), "dead-letters")


def attempt(name: str) -> Record:
    known = {"attempt_id": name, "revision": 0, "reserved": Decimal(0), "at": 1}
    return record(filled("ledger_attempt", known), "ledger")


ONE, TWO = document(1), document(2, sensitivity="restricted")
CONFLICT = replace(document(1, "chaos-3 is a text of seven words"), position=(TOPIC, 0, 3))
BROKEN = Sent("undecodable", b"no Avro", (TOPIC, 0, 4))
REPEAT = replace(ONE, position=(TOPIC, 0, 5))
ONE_OUT, TWO_OUT = outcome(ONE), outcome(TWO)
GOOD = Facts(
    sent=[ONE, TWO, CONFLICT, BROKEN, REPEAT],
    summaries=[record(ONE_OUT), record(TWO_OUT), record(ONE_OUT, repeat=True)],
    letters=[
        dead_letter(CONFLICT.value, "id_conflict", 3),
        dead_letter(BROKEN.value, "not_avro", 4),
    ],
    objects={
        "results/1": ONE_OUT,
        "results/2": TWO_OUT,
        "cache/chaos-1": answer(ONE),
        "cache/chaos-2": answer(TWO),
    },
    ledger=[attempt("a1")],
    asked=[Asked("chaos-1", "a1", True)],
    offsets={("precis.router", TOPIC, 0): (6, 6)},
)


def unfinished(summaries: list, letters: list) -> int:
    """In two looks, as while a run goes on."""
    ends = verdict.Ends()
    ends.look(summaries[:1], letters[:1])
    ends.look(summaries, letters)
    return ends.unfinished(GOOD.sent)


def test_finds_nothing_where_everything_holds():
    assert verdict.judge(GOOD) == []
    assert unfinished(GOOD.summaries, GOOD.letters) == 0


def test_a_document_that_kills_its_process_ends_as_just_that():
    killer = replace(ONE, kind=KILLS)
    for code, found in {"crash_suspect": set(), "store_unavailable": {"failed"}}.items():
        data = outcome(killer, status="failed", summary=None, code=code, answer_key=None)
        facts = replace(
            GOOD,
            sent=[killer, *GOOD.sent[1:4]],
            summaries=[record(data), record(TWO_OUT)],
            objects=GOOD.objects | {"results/1": data},
        )
        assert {finding.name for finding in verdict.judge(facts)} == found


def test_conflicting_request_taken_for_a_killer_has_its_end():
    """A conflicting request that was taken for a killer has its end."""
    letters = [dead_letter(CONFLICT.value, "crash_suspect", 3), GOOD.letters[1]]
    assert verdict.judge(replace(GOOD, letters=letters)) == []
    assert unfinished(GOOD.summaries, letters) == 0


def test_counts_what_has_no_end_yet():
    assert unfinished(GOOD.summaries[:1], []) == 4


def with_one(value: bytes) -> dict:
    """The facts if `value` were the outcome of the first document, in topic and store alike."""
    return {
        "summaries": [record(value), record(TWO_OUT), record(value, repeat=True)],
        "objects": GOOD.objects | {"results/1": value},
    }


FAILED = outcome(ONE, status="failed", summary=None, code="store_unavailable", answer_key=None)


@pytest.mark.parametrize(
    ("change", "name", "said"),
    [
        pytest.param({"summaries": GOOD.summaries[1:2]}, "lost", "without an outcome", id="lost"),
        pytest.param(
            {"summaries": GOOD.summaries[:2]}, "lost", "1 outcomes of 2 equal", id="lost repeat"
        ),
        pytest.param(
            {"letters": GOOD.letters[:1]}, "lost", "without a dead letter", id="lost undecodable"
        ),
        pytest.param(
            {"letters": GOOD.letters[1:]},
            "lost",
            "0 dead letters of 1 conflicting",
            id="lost conflict",
        ),
        pytest.param(
            {"summaries": [*GOOD.summaries, record(ONE_OUT)]},
            "duplicate",
            "2 outcomes that are no repeats",
            id="twice",
        ),
        pytest.param(
            {"summaries": [*GOOD.summaries, record(ONE_OUT, repeat=True)]},
            "duplicate",
            "3 outcomes of 2 equal",
            id="repeat twice",
        ),
        pytest.param(
            {"letters": [*GOOD.letters, GOOD.letters[1]]},
            "duplicate",
            "2 dead letters of one record",
            id="letter twice",
        ),
        pytest.param(
            {"summaries": [*GOOD.summaries, record(outcome(document(9)))]},
            "stranger",
            "outcome of a document",
            id="invented",
        ),
        pytest.param(
            {"letters": [*GOOD.letters, dead_letter(b"what?", "not_avro", 9)]},
            "stranger",
            "dead letter of a record",
            id="strange letter",
        ),
        pytest.param(
            with_one(outcome(ONE, words_in=8)),
            "body",
            "length of another text",
            id="another length",
        ),
        pytest.param(
            with_one(outcome(ONE, request_digest="0")),
            "body",
            "digest that nobody published",
            id="another request",
        ),
        pytest.param(
            with_one(outcome(ONE, request_fingerprint="0")),
            "body",
            "fingerprint of another text",
            id="another text",
        ),
        pytest.param(
            with_one(outcome(ONE, summary="chaos-2 is short.")),
            "body",
            "answer about another",
            id="another document's answer",
        ),
        pytest.param(
            with_one(outcome(replace(ONE, position=(TOPIC, 0, 9)))),
            "body",
            "origin that is none",
            id="another origin",
        ),
        pytest.param(with_one(FAILED), "failed", "given up with store_unavailable", id="given up"),
        pytest.param(
            {"objects": GOOD.objects | {"results/1": outcome(ONE, summary="chaos-1, otherwise.")}},
            "store",
            "differs from its result",
            id="bytes",
        ),
        pytest.param(
            {"objects": GOOD.objects | {"results/3": ONE_OUT}},
            "store",
            "two results",
            id="two results",
        ),
        pytest.param(
            {
                "objects": {
                    "results/2": TWO_OUT,
                    "cache/chaos-1": answer(ONE),
                    "cache/chaos-2": answer(TWO),
                }
            },
            "store",
            "without a result",
            id="no result",
        ),
        pytest.param(
            {"objects": GOOD.objects | {"cache/chaos-1": answer(ONE, "Other.")}},
            "store",
            "differs from its answer",
            id="another answer",
        ),
        pytest.param(
            {"asked": [Asked("chaos-2", "a1", True)]},
            "leaked",
            "restricted document at a provider",
            id="leaked",
        ),
        pytest.param(
            {"asked": [Asked("chaos-1", "a2", True)]},
            "ledger",
            "not in the ledger",
            id="unrecorded request",
        ),
        pytest.param(
            {"asked": [Asked("chaos-1", "a1", True, "chaos-1 is short.")]},
            "ledger",
            "for evaluation that the ledger has for another",
            id="judge that is no judge in the ledger",
        ),
        pytest.param(
            {"spilled": [("key", "router-1.log", "bearer sk")]},
            "spilled",
            "a provider's key",
            id="spilled",
        ),
        pytest.param(
            {"offsets": {("precis.router", TOPIC, 0): (5, 6)}},
            "offsets",
            "left behind",
            id="work left",
        ),
        pytest.param(
            {"offsets": {("precis.router", TOPIC, 0): (7, 6)}},
            "offsets",
            "skipped",
            id="work skipped",
        ),
        pytest.param(
            {"hanging": [("summaries", 0, 975, 981)]},
            "hanging",
            "without an end",
            id="hanging transaction",
        ),
    ],
)
def test_notices(change, name, said):
    found = verdict.judge(replace(GOOD, **change))
    assert any(finding.name == name and said in finding.what for finding in found), found
