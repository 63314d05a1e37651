"""The oracle itself: it must notice each way in which exactly-once can break, or the other tests prove nothing."""

from decimal import Decimal

import oracle
import pytest
import wire
from kafka import Record


def outcome(document_id: str, summary: str = "A summary.") -> bytes:
    origin = {"topic": "documents.acme", "partition": 0, "offset": 0}
    required = {
        "tenant": "acme",
        "document_id": document_id,
        "revision": 0,
        "status": "answered",
        "summary": summary,
        "origin": origin,
        "submitted_at": 1,
        "settled_at": 2,
        "cost": Decimal(0),
    }
    return wire.schema("outcome").encode(fill(required))


def fill(record: dict) -> dict:
    """Strings that have no default are empty: the oracle looks at none of them."""
    for field in wire.schema("outcome").parsed["fields"]:
        if "default" not in field and field["name"] not in record:
            record[field["name"]] = ""
    return record


def record(value: bytes, repeat: bool = False) -> Record:
    headers = [("precis-schema", wire.schema("outcome").header.encode())] + (
        [("precis-repeat", b"true")] if repeat else []
    )
    return Record("summaries", 0, 0, b"key", value, tuple(headers))


ONE, TWO = outcome("one"), outcome("two")
PUBLISHED = {("acme", "one", 0), ("acme", "two", 0)}


def test_accepts_one_outcome_and_one_result_for_each_document():
    found = oracle.assert_each_exactly_once(PUBLISHED, [record(TWO), record(ONE)], [ONE, TWO])
    assert found.keys() == PUBLISHED


def test_accepts_a_marked_repeat_with_the_same_bytes():
    oracle.assert_each_exactly_once(
        PUBLISHED, [record(ONE), record(TWO), record(ONE, repeat=True)], [ONE, TWO], repeats=1
    )


@pytest.mark.parametrize(
    ("records", "results", "said"),
    [
        pytest.param([record(ONE)], [ONE], "without an outcome", id="lost"),
        pytest.param(
            [record(ONE), record(TWO), record(ONE)], [ONE, TWO], "more than one outcome", id="twice"
        ),
        pytest.param(
            [record(ONE), record(TWO), record(outcome("three"))],
            [ONE, TWO],
            "nobody published",
            id="invented",
        ),
        pytest.param([record(ONE), record(TWO)], [ONE], "disagree", id="never stored"),
        pytest.param(
            [record(ONE), record(TWO)],
            [ONE, TWO, outcome("two", "Another.")],
            "two results",
            id="stored twice",
        ),
        pytest.param(
            [record(ONE), record(TWO)],
            [ONE, outcome("two", "Another.")],
            "differ",
            id="other bytes",
        ),
        pytest.param(
            [record(ONE), record(TWO), record(ONE, repeat=True)],
            [ONE, TWO],
            "1 repeats, expected 0",
            id="unexpected repeat",
        ),
    ],
)
def test_notices(records, results, said):
    with pytest.raises(AssertionError, match=said):
        oracle.assert_each_exactly_once(PUBLISHED, records, results)
