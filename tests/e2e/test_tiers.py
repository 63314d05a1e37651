"""Escalation to a paid tier, what may never reach it, and what it costs."""

import notes
from deployment import API, GPU
from oracle import settled

# A summary in five words is beyond the small model: its answer is cut or too long. The provider's is neither.
WORDS = 5
SHORT = "The boats came home."


def test_rejected_answers_escalate_and_restricted_ones_stay(kafka_deployment, llmock):
    deployment = kafka_deployment(GPU.with_share(1.0), API.with_share(0.0), llmock=llmock)
    llmock.reset()
    llmock.answers(SHORT)
    for service in ("router", "gpu-worker", "api-worker"):
        deployment.start(f"precis-{service}")
    public = [notes.note(number, max_words=WORDS) for number in range(6)]
    unlabelled = [notes.note(number, max_words=WORDS, sensitivity=None) for number in range(6, 9)]
    restricted = [
        notes.note(number, max_words=WORDS, sensitivity="restricted") for number in range(9, 12)
    ]
    published = deployment.publish(public + unlabelled + restricted)
    deployment.kafka.follow("summaries").until(settled(12), "12 outcomes")
    found = deployment.assert_settled(published)
    for document in public:
        outcome = found["acme", document["document_id"], 0]
        assert (outcome["status"], outcome["tier"], outcome["summary"]) == (
            "answered",
            "api",
            SHORT,
        )
        assert [trial["tier"] for trial in outcome["trail"]] == ["gpu"]
        assert set(outcome["trail"][0]["failed_checks"]) & {"truncated", "length"}
        assert outcome["cost"] > 0 and outcome["price_digest"]
    for document in unlabelled + restricted:
        outcome = found["acme", document["document_id"], 0]
        assert outcome["status"] == "flagged" and outcome["cost"] == 0, outcome
        assert any(excluded["tier"] == "api" for excluded in outcome["decision"]["excluded"])
    asked = [str(request["body"]) for request in llmock.requests()]
    assert len(asked) == len(public)
    assert all(sum(document["text"] in body for body in asked) == 1 for document in public)
    assert not any(
        document["text"] in body for document in unlabelled + restricted for body in asked
    )


def test_throttled_provider_is_asked_again_and_paid_once(kafka_deployment, llmock):
    """A throttled provider is asked again, and each document is paid once."""
    deployment = kafka_deployment(API.with_share(1.0), llmock=llmock)
    llmock.behave(
        {"type": "fail", "status": 429, "retry_after": 1, "times": 3},
        {"type": "fail", "status": 503, "times": 2},
    )
    deployment.start("precis-router")
    deployment.start("precis-api-worker")
    published = deployment.publish([notes.note(number) for number in range(5)])
    deployment.kafka.follow("summaries").until(settled(5), "5 outcomes")
    found = deployment.assert_settled(published)
    assert {outcome["status"] for outcome in found.values()} == {"answered"}
    served = [request for request in llmock.requests() if request["status"] == 200]
    assert len(served) == 5


def test_without_a_key_the_tier_is_off(kafka_deployment, llmock):
    deployment = kafka_deployment(GPU.with_share(0.0), API.with_share(1.0), llmock=llmock, key=None)
    for service in ("api-worker", "router", "gpu-worker"):
        deployment.start(f"precis-{service}")
    published = deployment.publish([notes.note(number) for number in range(2)])
    deployment.kafka.follow("summaries").until(settled(2), "2 outcomes")
    found = deployment.assert_settled(published)
    assert {outcome["tier"] for outcome in found.values()} == {"gpu"}
    assert llmock.requests() == []
