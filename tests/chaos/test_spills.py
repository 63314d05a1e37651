"""The search for spilled keys and texts finds them wherever they may not be, and leaves them where they belong."""

import notes
import pytest
import spills
from kafka import Record
from test_evaluations import evaluation
from test_verdict import BROKEN, ONE, ONE_OUT, dead_letter, outcome

KEY = "sk-very-secret"


def found(topic: str, value: bytes, headers=(), key: bytes = b"id/1") -> list[str]:
    topics = {topic: [Record(topic, 0, 7, key, value, tuple(headers))]}
    return [f"{what} {place}" for what, place, _ in spills.spilled(spills.in_topics(topics), [KEY])]


def test_texts_are_left_where_they_belong():
    for topic in ("documents.acme", "returns", "work.gpu", "escalations"):
        assert found(topic, ONE.value) == []
    assert found("summaries", ONE_OUT) == []
    quoted = evaluation(ONE, unsupported_claims=["chaos-00001 is short."])
    assert found("evaluations", quoted) == []
    assert found("dead-letters", dead_letter(BROKEN.value, "not_avro", 4).value) == []


@pytest.mark.parametrize(
    ("topic", "value", "headers", "key", "said"),
    [
        ("ledger", b"chaos-00001", (), b"", "text ledger/0/7 value"),
        ("control", notes.text(12).encode(), (), b"", "text control/0/7 value"),
        (
            "summaries",
            ONE_OUT,
            [("precis-note", b"chaos-00001 says")],
            b"",
            "text summaries/0/7 headers",
        ),
        ("summaries", ONE_OUT, [("authorization", KEY.encode())], b"", "key summaries/0/7 headers"),
        ("work.gpu", ONE.value, (), b"chaos-00001", "text work.gpu/0/7 key"),
        (
            "summaries",
            outcome(ONE, message="cannot read 'chaos-00001 is'"),
            (),
            b"",
            "text summaries/0/7 message",
        ),
        (
            "evaluations",
            evaluation(ONE, message="it says 'chaos-00001 is'"),
            (),
            b"",
            "text evaluations/0/7 message",
        ),
    ],
)
def test_what_is_spilled_is_found(topic, value, headers, key, said):
    assert said in found(topic, value, headers, key)


def test_logs_are_searched_line_by_line(tmp_path):
    log = tmp_path / "router-1.log"
    log.write_text(
        f"all well\nbad document: {notes.text(3)}\nthis is a chaos build\nbearer {KEY}\n"
    )
    said = [(what, place) for what, place, _ in spills.spilled(spills.in_files([log]), [KEY])]
    assert set(said) == {("text", "router-1.log"), ("key", "router-1.log")}
