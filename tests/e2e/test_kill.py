"""kill -9 in the middle of 200 documents: every document still ends exactly once, in the topic and in the store alike."""

import threading

import notes
import oracle
import pytest
from deployment import API, GPU, PERMISSIVE
from oracle import settled

DOCUMENTS = 200
WORDS = 10
# Four of five documents go to the stand-in for a provider: all services have work, and the model on this CPU does not take for ever.
TIERS = (GPU.with_share(0.2), API.with_share(0.8))


@pytest.mark.parametrize("victim", ["router", "gpu-worker", "api-worker"])
def test_killed_service_on_kafka(kafka_deployment, llmock, victim):
    deployment = kafka_deployment(*TIERS, llmock=llmock, checks=PERMISSIVE)
    for service in ("router", "gpu-worker", "api-worker"):
        deployment.start(f"precis-{service}")
    published: list[set[oracle.Identity]] = []
    documents = [notes.note(number, max_words=WORDS) for number in range(DOCUMENTS)]
    # Published over some seconds, so that the router too is in the middle of it when it dies.
    publisher = threading.Thread(
        target=lambda: published.append(deployment.publish(documents, pause_seconds=0.05))
    )
    publisher.start()
    summaries = deployment.kafka.follow("summaries")
    summaries.until(settled(DOCUMENTS // 5), "a fifth of the outcomes")
    deployment.services[victim].kill()
    assert len(oracle.first_outcomes(summaries.to_the_end())) < DOCUMENTS, (
        "killed too late to prove anything"
    )
    deployment.services[victim].start()
    publisher.join()
    summaries.until(settled(DOCUMENTS), "all outcomes")
    found = deployment.assert_settled(published[0])
    assert {outcome["tier"] for outcome in found.values()} == {"gpu", "api"}


def test_killed_process_on_the_embedded_log(embedded_deployment, llmock):
    deployment = embedded_deployment(*TIERS, llmock=llmock, checks=PERMISSIVE)
    everything = deployment.start("precis", "up")
    published = deployment.submit(
        [notes.note(number, max_words=WORDS) for number in range(DOCUMENTS)]
    )
    deployment.log.until("summaries", settled(DOCUMENTS // 5), "a fifth of the outcomes")
    everything.kill()
    assert len(oracle.first_outcomes(deployment.log.read("summaries"))) < DOCUMENTS, (
        "killed too late to prove anything"
    )
    everything.start()
    deployment.log.until("summaries", settled(DOCUMENTS), "all outcomes")
    found = deployment.assert_settled(published)
    assert {outcome["tier"] for outcome in found.values()} == {"gpu", "api"}
