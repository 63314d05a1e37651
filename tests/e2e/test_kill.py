"""kill -9 in the middle of 200 documents: every document still ends exactly once, in the topic and in the store alike."""

import threading

import pytest

import notes
import oracle
from house import GPU, Tier

DOCUMENTS = 200


def settled(count: int):
    return lambda records: len(oracle.first_outcomes(records)) >= count


@pytest.mark.parametrize("victim", ["router", "gpu-worker", "api-worker"])
def test_killed_service_on_kafka(kafka_house, llmock, victim):
    """Half of the documents go to each tier, so that all three services have work left when one of them dies."""
    llmock.answers()
    house = kafka_house(*half_and_half())
    house.use_llmock(llmock)
    for service in ("router", "gpu-worker", "api-worker"):
        house.start(f"precis-{service}")
    published: list[set[oracle.Identity]] = []
    documents = [notes.note(number) for number in range(DOCUMENTS)]
    # Published over some seconds, so that the router too is in the middle of it when it dies.
    publisher = threading.Thread(target=lambda: published.append(house.publish(documents, pause_seconds=0.05)))
    publisher.start()
    summaries = house.kafka.follow("summaries")
    summaries.until(settled(DOCUMENTS // 5), "a fifth of the outcomes")
    house.services[victim].kill()
    assert len(oracle.first_outcomes(summaries.to_the_end())) < DOCUMENTS, "killed too late to prove anything"
    house.services[victim].start()
    publisher.join()
    summaries.until(settled(DOCUMENTS), "all outcomes")
    found = house.assert_settled(published[0])
    assert {outcome["tier"] for outcome in found.values()} == {"gpu", "api"}


def half_and_half() -> list[Tier]:
    return [Tier("gpu", "gpu", "local", "smollm2-135m-instruct", 0.5), Tier("api", "api", "openai", "gpt-test", 0.5)]
