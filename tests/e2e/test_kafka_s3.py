"""The pipeline on Kafka and S3, seen with clients that nobody here wrote: confluent-kafka, fastavro, boto3."""

import notes
import wire
from deployment import GPU
from oracle import settled


def test_documents_come_out_once_on_topic_and_in_s3(kafka_deployment):
    """Published documents come out once each, on summaries and in S3."""
    deployment = kafka_deployment(GPU)
    deployment.start("precis-router")
    deployment.start("precis-gpu-worker")
    published = deployment.publish([notes.note(number) for number in range(8)])
    deployment.kafka.follow("summaries").until(settled(8), "8 outcomes")
    found = deployment.assert_settled(published)
    for outcome in found.values():
        assert outcome["status"] in {"answered", "flagged"}, outcome["code"]
        assert (
            outcome["summary"].strip()
            and outcome["output_tokens"] > 0
            and outcome["model"]["name"] == "smollm2-135m-instruct"
        )
        assert outcome["words_in"] > 20
        # Flagged: its answer failed the checks, and no tier was left.
        tried = {trial["tier"] for trial in outcome["trail"]} | {outcome["decision"]["chosen"]}
        assert "gpu" in tried and (
            outcome["status"] == "answered"
            or any(not check["passed"] for check in outcome["checks"])
        )


def test_undecodable_records_end_as_dead_letters(kafka_deployment):
    """Undecodable records end as dead letters with their bytes."""
    deployment = kafka_deployment(GPU)
    deployment.start("precis-router")
    deployment.start("precis-gpu-worker")
    broken = [
        b"",
        b"not avro at all",
        b"\xc3\x01" + bytes(8) + b"unknown schema",
        wire.schema("document").prefix + b"\xff\xff",
    ]
    deployment.kafka.publish(
        "documents.acme", [(b"broken", value, [("origin", b"test")]) for value in broken]
    )
    published = deployment.publish([notes.note(1)])
    deployment.kafka.follow("summaries").until(settled(1), "the outcome of the good document")
    letters = [
        wire.schema("dead_letter").decode(record.value)
        for record in deployment.kafka.follow("dead-letters").until(
            lambda records: len(records) >= len(broken), "dead letters"
        )
    ]
    assert sorted(letter["value"] or b"" for letter in letters) == sorted(broken)
    assert all(
        letter["topic"] == "documents.acme" and letter["key"] == b"broken" and letter["code"]
        for letter in letters
    )
    assert all({"name": "origin", "value": b"test"} in letter["headers"] for letter in letters)
    deployment.assert_settled(published)


def test_repeat_gets_stored_outcome_changed_text_is_refused(
    kafka_deployment,
):
    """A repeat is answered from what is stored; a changed text under the same id is refused."""
    deployment = kafka_deployment(GPU)
    deployment.start("precis-router")
    deployment.start("precis-gpu-worker")
    summaries = deployment.kafka.follow("summaries")
    first = notes.note(7)
    published = deployment.publish([first])
    summaries.until(settled(1), "the first outcome")
    deployment.publish([first])
    deployment.publish([first | {"text": notes.text(8)}])
    deployment.publish([first | {"text": notes.text(8), "revision": 1}])
    published.add(("acme", first["document_id"], 1))
    summaries.until(lambda records: len(records) >= 3, "the repeat and the new revision")
    conflicts = deployment.kafka.follow("dead-letters").until(
        lambda records: len(records) >= 1, "the conflict"
    )
    assert [wire.schema("dead_letter").decode(record.value)["code"] for record in conflicts] == [
        "id_conflict"
    ]
    deployment.assert_settled(published, repeats=1)


def test_a_tenant_that_disagrees_with_its_topic_is_refused(kafka_deployment):
    deployment = kafka_deployment(GPU)
    deployment.start("precis-router")
    deployment.publish([notes.note(1, tenant="somebody-else")])
    letters = deployment.kafka.follow("dead-letters").until(
        lambda records: len(records) >= 1, "a dead letter"
    )
    assert wire.schema("dead_letter").decode(letters[0].value)["code"] == "tenant_mismatch"
    deployment.drain()
