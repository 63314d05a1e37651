"""A server, and a publisher, that send far more than anybody asked for: every document ends, and is paid for once."""

import hashlib

import notes
import pytest
from deployment import API, TENANT
from oracle import settled
from stand_in import StandIn

ANSWER_BYTES = 3 * 1024 * 1024
BODY_BYTES = 1024 * 1024
BUDGET_BYTES = 2 * BODY_BYTES
DOCUMENTS = 64


@pytest.fixture
def flood():
    """A provider that answers with three mebibytes."""
    provider = StandIn("More than asked for. " * (ANSWER_BYTES // 21))
    yield provider
    provider.close()


def test_answer_of_megabytes_ends_its_document_once(kafka_deployment, flood):
    """The document is flagged with what fits of the answer, and asked for once."""
    deployment = kafka_deployment(API, llmock=flood)
    deployment.start("precis-router")
    deployment.start("precis-api-worker")
    published = deployment.publish([notes.note(1)])
    deployment.kafka.follow("summaries").until(settled(1), "the outcome")
    outcome = next(iter(deployment.assert_settled(published).values()))
    assert outcome["status"] == "flagged"
    assert outcome["finish_reason"] == "length"
    assert 1024 < len(outcome["summary"]) < 128 * 1024
    assert flood.requests == 1


def test_records_that_name_one_large_body_all_end(kafka_deployment, llmock):
    """Many small records name one body of half the budget: they take turns for its bytes, and each ends."""
    deployment = kafka_deployment(API, llmock=llmock)
    budget = {"stage": {"max_text_bytes_in_process": BUDGET_BYTES}}
    settings = deployment.service_settings()
    settings["api_worker"] |= budget
    deployment.service_settings = lambda: settings | {"router": budget}
    body = f"{notes.ANSWER} ".encode() * (BODY_BYTES // (len(notes.ANSWER) + 1))
    key = f"bodies/{TENANT}/large"
    deployment.store.client.put_object(Bucket=deployment.store.bucket, Key=key, Body=body)
    reference = {
        "key": key,
        "sha256": hashlib.sha256(body).hexdigest(),
        "size_bytes": len(body),
    }
    documents = [
        notes.note(number, text=None, body=reference, instruction=f"Write for reader {number}.")
        for number in range(DOCUMENTS)
    ]
    deployment.start("precis-router")
    deployment.start("precis-api-worker")
    published = deployment.publish(documents)
    deployment.kafka.follow("summaries").until(settled(DOCUMENTS), "every outcome")
    deployment.assert_settled(published)
