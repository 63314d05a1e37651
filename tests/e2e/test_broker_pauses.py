"""The broker's process stands still and goes on, in the middle of work: all documents end once, and nobody waits for ever.

For longer than its session with the controller it is fenced, and names no broker to whoever asks; for longer than a transaction may
last it aborts what was open. A service outlives that, or ends with an error that says so, and then a restart recovers.
"""

import re
import signal
import time

import notes
import pytest
from confluent_kafka import KafkaException
from deployment import API, PERMISSIVE
from oracle import first_outcomes

DOCUMENTS = 300
# The bound of each wait. A service waits for an answer for up to three times a transaction, then it begins anew.
SECONDS = 150
# Errors after which only a new process helps: the brokers gave its transactional id up, or its client is beyond repair.
BY_DESIGN = {"fenced", "kafka_client"}
CODE = re.compile(r'code="([a-z_]+)"')


def settled(deployment, count: int, what: str) -> None:
    """Waits for so many outcomes. With a new reader each time: one that met a fenced broker may never read on. Restarts what ended."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            found = len(first_outcomes(deployment.kafka.read("summaries")))
        except (AssertionError, KafkaException):
            found = 0
        finally:
            while deployment.kafka.followers:
                deployment.kafka.followers.pop().close()
        if found >= count:
            return
        assert time.monotonic() < deadline, f"{found} of {count} outcomes {what}"
        for service in deployment.services.values():
            restart(service)
        time.sleep(0.5)


def restart(service) -> None:
    """As a supervisor does, if it ended, and for a reason that allows it."""
    if service.is_running():
        return
    lines = service.log.read_text(errors="replace").splitlines()[-40:]
    codes = {code for line in lines if " ERROR " in line for code in CODE.findall(line)}
    assert codes & BY_DESIGN, f"{service.name} ended\n{service.tail()}"
    service.launch()


@pytest.mark.parametrize("pauses", [(5, 5, 5, 5), (13,)], ids=["session", "transaction"])
def test_documents_end_once_when_the_broker_pauses(kafka_deployment, llmock, running, pauses):
    deployment = kafka_deployment(API, llmock=llmock, checks=PERMISSIVE)
    for service in ("router", "api-worker"):
        deployment.start(f"precis-{service}")
    published, share = set(), DOCUMENTS // (len(pauses) + 1)
    for number, seconds in enumerate(pauses):
        first = number * share
        published |= deployment.publish([notes.note(first + index) for index in range(share)])
        settled(deployment, len(published) - share + share // 5, "before the broker paused")
        running["kafka"].process.send_signal(signal.SIGSTOP)
        try:
            time.sleep(seconds)
        finally:
            running["kafka"].process.send_signal(signal.SIGCONT)
        settled(deployment, len(published), f"after the broker had paused for {seconds} s")
    published |= deployment.publish(
        [notes.note(len(pauses) * share + index) for index in range(share)]
    )
    settled(deployment, len(published), "in the end")
    deployment.assert_settled(published)
