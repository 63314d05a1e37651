"""What is measured on every summary stands in its outcome: against the source, and against a reference where there is one."""

import json
import re

import notes
from deployment import API
from oracle import settled
from test_summarize_again import Summarize

REFERENCE = "The harbour opened early."


def shared_with_reference(summary: str) -> float:
    """ROUGE-1 recall of REFERENCE, whose words are all different."""
    words, said = (set(re.findall("[a-z0-9]+", text.lower())) for text in (REFERENCE, summary))
    return len(words & said) / len(words)


def test_outcomes_on_kafka_are_measured(kafka_deployment, llmock):
    """With and without a reference, and an answer from the cache against a reference of its own."""
    deployment = kafka_deployment(API, llmock=llmock)
    llmock.reset()
    llmock.answers(notes.ANSWER)
    deployment.start("precis-router")
    deployment.start("precis-api-worker")
    summaries = deployment.kafka.follow("summaries")
    published = deployment.publish([notes.note(1), notes.note(2, reference=REFERENCE)])
    summaries.until(settled(2), "2 outcomes")
    equal = notes.note(1, document_id="equal", reference=notes.ANSWER)
    published |= deployment.publish([equal])
    summaries.until(settled(3), "the outcome of the equal request")
    found = deployment.assert_settled(published)
    plain, measured, cached = (
        found["acme", document, 0] for document in ("note-0001", "note-0002", "equal")
    )
    for outcome in (plain, measured, cached):
        assert 0.8 < outcome["quality_index"] <= 1, outcome
        assert outcome["scores"]["source_rouge1"] == 1.0, "every word is the source's"
        assert outcome["scores"]["novelty3"] == 0.0
    assert plain["scores"]["reference"] is None
    recall = measured["scores"]["reference"]["rouge"]["rouge1"]["recall"]
    assert recall == shared_with_reference(notes.ANSWER) == 1.0
    assert cached["cache"] == "exact" and cached["scores"]["reference"]["exact_match"]
    source = ("source_rouge1", "source_rouge2", "novelty1", "length_ratio")
    assert [cached["scores"][name] for name in source] == [
        plain["scores"][name] for name in source
    ], "the same answer has the same figures"


def test_summarize_shows_index_and_reference(tmp_path):
    """The embedded log: rows of `--json`, with the reference from the field that is named."""
    records = [
        {"id": "with", "text": notes.text(1), "gold": REFERENCE},
        {"id": "without", "text": notes.text(2)},
    ]
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "notes.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    rows = Summarize(tmp_path, documents=0).run("--reference-field", "gold", "--max-words", "25")
    assert len(rows) == 2
    for row in rows:
        assert 0 <= row["quality_index"] <= 1 and row["scores"]["source_rouge1"] > 0, row
    (measured,) = (row for row in rows if row["scores"]["reference"])
    recall = measured["scores"]["reference"]["rouge"]["rouge1"]["recall"]
    assert recall == shared_with_reference(measured["summary"])
