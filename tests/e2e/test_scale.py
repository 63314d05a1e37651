"""Several instances share the work; a stopped one leaves nothing behind."""

import threading

import notes
import pytest
from deployment import API, PERMISSIVE
from oracle import settled


def test_workers_share_load_and_routers_take_over(kafka_deployment, llmock):
    """Two workers share the load, and a router takes over what another leaves."""
    deployment = kafka_deployment(API.with_share(1.0), llmock=llmock, checks=PERMISSIVE)
    routers, workers = (
        [deployment.start(f"precis-{service}", instance=f"{service}-{number}") for number in (1, 2)]
        for service in ("router", "api-worker")
    )
    published = deployment.publish([notes.note(number) for number in range(80)])
    summaries = deployment.kafka.follow("summaries")
    summaries.until(settled(80), "80 outcomes")
    assert all(worker.metric("precis_stage_records_total") > 0 for worker in workers), (
        "a worker had nothing to do"
    )
    # Kafka's assignor spreads partitions over members whatever their topic: one router may own all of `documents`.
    busiest = max(routers, key=lambda router: router.metric("precis_stage_records_total"))
    assert busiest.terminate() == 0
    published |= deployment.publish([notes.note(number) for number in range(80, 120)])
    summaries.until(settled(120), "120 outcomes, the last 40 through the other router")
    deployment.assert_settled(published)


@pytest.mark.parametrize("leaver", ["router", "api-worker"])
def test_sigterm_in_the_middle_drains_and_exits_0(kafka_deployment, llmock, leaver):
    deployment = kafka_deployment(API.with_share(1.0), llmock=llmock, checks=PERMISSIVE)
    llmock.behave({"type": "delay", "seconds": 0.3, "times": None})
    for service in ("router", "api-worker"):
        deployment.start(f"precis-{service}")
    published = []
    publisher = threading.Thread(
        target=lambda: published.append(
            deployment.publish([notes.note(number) for number in range(150)], pause_seconds=0.03)
        )
    )
    publisher.start()
    summaries = deployment.kafka.follow("summaries")
    summaries.until(settled(20), "20 outcomes")
    assert deployment.services[leaver].terminate() == 0
    deployment.services[leaver].start()
    publisher.join()
    summaries.until(settled(150), "150 outcomes")
    deployment.assert_settled(published[0])
    # A drained worker settles what it paid for: nothing is asked twice.
    assert len(llmock.requests()) == 150
