"""A program that reads in the router's group with another assignment strategy keeps the router out: it says so, and goes on after it."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import notes
from confluent_kafka import Consumer
from deployment import API, PERMISSIVE
from kafka import QUIET
from oracle import settled

SECONDS = 60
TOLD = "still waits to be let into its group"


class Stranger:
    """Stays a member of a group until it is told to leave."""

    def __init__(self, brokers: str, group: str, topic: str):
        self.joined, self.over = threading.Event(), threading.Event()
        self.consumer = Consumer(
            QUIET
            | {
                "bootstrap.servers": brokers,
                "group.id": group,
                "partition.assignment.strategy": "range",
                "enable.auto.commit": False,
                "session.timeout.ms": 6000,
            }
        )
        self.consumer.subscribe([topic], on_assign=lambda *_: self.joined.set())
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self) -> None:
        while not self.over.is_set():
            self.consumer.poll(0.1)
        self.consumer.close()

    def leave(self) -> None:
        self.over.set()
        self.thread.join()


def test_a_router_that_is_kept_out_of_its_group_says_why(kafka_deployment, llmock):
    deployment = kafka_deployment(API, llmock=llmock, checks=PERMISSIVE)
    deployment.cli("topics", "apply")
    stranger = Stranger(deployment.kafka.brokers, "precis.router", "documents.acme")
    # A service lives as long as the thread that started it, and this one is waited for until it is ready.
    with ThreadPoolExecutor(1) as starter:
        try:
            assert stranger.joined.wait(SECONDS)
            starting = starter.submit(deployment.start, "precis-router")
            deadline = time.monotonic() + SECONDS
            while TOLD not in said(deployment):
                assert time.monotonic() < deadline, deployment.logs()
                time.sleep(0.2)
            assert "assignment strategy" in said(deployment) and not starting.done()
        finally:
            stranger.leave()
        starting.result(SECONDS)
        deployment.start("precis-api-worker")
        published = deployment.publish([notes.note(number) for number in range(5)])
        deployment.kafka.follow("summaries").until(
            settled(5), "the outcomes after the stranger left", SECONDS
        )
        deployment.assert_settled(published)


def said(deployment) -> str:
    """What the router's log says so far."""
    router = deployment.services.get("router")
    return router.tail(1000) if router else ""
