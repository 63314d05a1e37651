"""A sample of the summaries is judged by an evaluator model: once each, whatever dies on the way, and by none that may not see the text."""

import hashlib
import json
from collections import Counter

import notes
import wire
from deployment import API, GPU, PERMISSIVE
from oracle import settled

VERDICT = {
    "faithfulness": 5,
    "coverage": 3,
    "coherence": 4,
    "conciseness": 5,
    "unsupported_claims": [],
    "remark": "Fine.",
}
ALL_TWICE = "rate = 1.0\nsecond_opinions = 1.0\n"


def judged_by(deployment, judges: str) -> None:
    """Every summary is judged twice by these tiers."""
    policy = deployment.policy_file
    policy.write_text(f"{policy.read_text()}\n[evaluation]\njudges = [{judges}]\n{ALL_TWICE}")


def evaluations(records) -> dict[tuple[str, int], dict]:
    """By document id and round; each must be there once and decode with the schema that it names."""
    schema, found = wire.schema("evaluation"), {}
    for record in records:
        assert record.header("precis-schema") == schema.header.encode()
        read = schema.decode(record.value)
        key = read["document_id"], read["round"]
        assert key not in found, f"{key} twice"
        found[key] = read
    return found


def ended(count: int):
    return lambda records: len(records) >= count


def assert_stored(deployment, records) -> None:
    """The store holds the bytes of each record, and nothing else."""
    stored = Counter(deployment.store.objects("evaluations/").values())
    assert stored == Counter(record.value for record in records)


def test_each_summary_is_judged_once_through_kills(kafka_deployment, llmock):
    deployment = kafka_deployment(
        GPU.with_share(1.0), API.with_share(0.0), llmock=llmock, checks=PERMISSIVE
    )
    judged_by(deployment, '"api"')
    llmock.reset()
    llmock.answers(json.dumps(VERDICT))
    services = {
        name: deployment.start(f"precis-{name}") for name in ("router", "gpu-worker", "api-worker")
    }
    follower = deployment.kafka.follow("evaluations")
    public = [notes.note(number) for number in range(8)]
    restricted = [notes.note(number, sensitivity="restricted") for number in range(8, 10)]
    published = deployment.publish(public + restricted)
    follower.until(ended(3), "3 evaluations")
    for name in ("api-worker", "router"):
        services[name].kill()
        deployment.start(f"precis-{name}")
    deployment.kafka.follow("summaries").until(settled(10), "10 outcomes")
    follower.until(ended(20), "20 evaluations")
    outcomes = deployment.assert_settled(published)
    records = deployment.kafka.read("evaluations")
    found = evaluations(records)
    names = [document["document_id"] for document in public + restricted]
    assert found.keys() == {(name, round_) for name in names for round_ in (1, 2)}
    assert_stored(deployment, records)
    for document in public:
        for round_ in (1, 2):
            evaluation = found[document["document_id"], round_]
            outcome = outcomes["acme", document["document_id"], 0]
            assert (evaluation["status"], evaluation["judge_tier"]) == ("judged", "api"), evaluation
            assert evaluation["scores"]["score"] == 13 / 16 and evaluation["probability"] == 1.0
            assert (evaluation["tier"], evaluation["model"]) == ("gpu", outcome["model"])
            digest = hashlib.sha256(outcome["summary"].encode()).hexdigest()
            assert evaluation["summary_sha256"] == digest
            assert evaluation["cost"] > 0 and not evaluation["same_model"]
    for document in restricted:
        evaluation = found[document["document_id"], 1]
        assert (evaluation["status"], evaluation["code"]) == ("failed", "no_judge"), evaluation
        assert "api excluded (sensitivity)" in evaluation["message"]
    asked = [str(request["body"]) for request in llmock.requests()]
    assert not any(document["text"] in body for document in restricted for body in asked)
    # A kill costs at most the request in flight of each partition.
    assert 16 <= len(asked) <= 16 + 8, len(asked)
    attempts = [
        schema.decode(record.value)
        for schema in [wire.schema("ledger_attempt")]
        for record in deployment.kafka.read("ledger")
        if record.value[:10] == schema.prefix
    ]
    assert attempts and {attempt["purpose"] for attempt in attempts} == {"evaluation"}
    spend = json.loads(deployment.cli("spend", "--by", "purpose", "--json").stdout)
    assert [row["purpose"] for row in spend["groups"]] == ["evaluation"]


def test_a_judge_that_cannot_judge_ends_as_failed(embedded_deployment):
    """The small model is no judge: it is asked twice, and the summary's outcome stands as it is."""
    deployment = embedded_deployment(GPU, checks=PERMISSIVE)
    judged_by(deployment, '"gpu"')
    deployment.start("precis", "up")
    published = deployment.submit([notes.note(number) for number in range(2)])
    deployment.log.until("evaluations", ended(4), "4 evaluations")
    outcomes = deployment.assert_settled(published)
    records = deployment.log.read("evaluations")
    found = evaluations(records)
    assert len(found) == 4 and {outcome["status"] for outcome in outcomes.values()} == {"answered"}
    assert_stored(deployment, records)
    for evaluation in found.values():
        assert (evaluation["status"], evaluation["code"]) == ("failed", "judge_unreadable")
        assert evaluation["same_model"] and evaluation["scores"] is None, evaluation
