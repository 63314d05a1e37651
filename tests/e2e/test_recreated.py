"""A topic of documents is deleted and made again under a running router: all of the new one is settled, and no other tenant waits."""

import time

import notes
from confluent_kafka import KafkaException
from confluent_kafka.admin import NewTopic
from deployment import API, PERMISSIVE
from oracle import first_outcomes, settled

PARTITIONS = 4
SECONDS = 60


def recreate(kafka, topic: str) -> None:
    """So fast that the router may never see the topic gone."""
    for future in kafka.admin.delete_topics([topic], operation_timeout=30).values():
        future.result()
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            for future in kafka.admin.create_topics([NewTopic(topic, PARTITIONS, 1)]).values():
                future.result()
            return
        except KafkaException:
            assert time.monotonic() < deadline, f"{topic} cannot be made again"
            time.sleep(0.05)


def test_a_topic_made_again_is_settled_whole(kafka_deployment, llmock, running):
    deployment = kafka_deployment(API, llmock=llmock, checks=PERMISSIVE)
    deployment.tenants = ("acme", "other")
    router = deployment.start("precis-router")
    deployment.start("precis-api-worker")
    summaries = deployment.kafka.follow("summaries")
    published = deployment.publish([notes.note(number) for number in range(40)])
    summaries.until(settled(len(published)), "the old topic's outcomes")
    # More than were read, then fewer.
    for first, count in ((100, 80), (200, 6)):
        recreate(deployment.kafka, "documents.acme")
        published |= deployment.publish(
            [notes.note(number) for number in range(first, first + count)]
        )
        published |= deployment.publish(
            [notes.note(number, tenant="other") for number in range(first, first + 5)],
            tenant="other",
        )
        summaries.until(
            settled(len(published)), f"the outcomes of {count} in the new topic", SECONDS
        )
    assert router.is_running(), router.tail()
    assert (
        router.metric("precis_log_restarts_total", group="precis.router", reason="recreated") >= 2
    ), router.get("/metrics")
    # Restarts of the broker raise the leader epochs of the topic; those of the next one are lower.
    for _ in range(2):
        running["kafka"].restart()
    published |= deployment.publish([notes.note(number) for number in range(300, 320)])
    summaries.until(settled(len(published)), "the outcomes after the broker's restarts")
    recreate(deployment.kafka, "documents.acme")
    published |= deployment.publish([notes.note(number) for number in range(400, 450)])
    summaries.until(settled(len(published)), "the outcomes of the last topic", SECONDS)
    assert len(first_outcomes(summaries.records)) == len(published)
    deployment.assert_settled(published)
