"""Texts that are made to be slow to read, beside an innocent tenant's: nobody else notices."""

import threading

import notes
from deployment import API
from oracle import settled

EVIL = "evil"
# Half a word and half signs, 340 KB: a check that looks back from each sign reads it for a minute.
HALF = 170_000
SIGNS = "a" * HALF + "$" * HALF
ATTACKS = 3


def test_slow_texts_hold_up_neither_probes_nor_others(embedded_deployment, llmock):
    """Three texts made of a word and signs: liveness answers all the time, and the other tenant is served."""
    deployment = embedded_deployment(API, llmock=llmock)
    deployment.tenants = ("acme", EVIL)
    everything = deployment.start("precis", "up")
    unanswered, answered, done = [], [], threading.Event()

    def probe():
        # As an orchestrator does: five seconds for an answer, then again.
        while not done.wait(0.2):
            (unanswered if everything.get("/livez") is None else answered).append(True)

    probing = threading.Thread(target=probe)
    probing.start()
    try:
        attacks = [notes.note(number, text=f"{number} {SIGNS}") for number in range(ATTACKS)]
        published = deployment.submit(attacks, tenant=EVIL)
        published |= deployment.submit([notes.note(ATTACKS)])
        deployment.log.until("summaries", settled(ATTACKS + 1), "all outcomes")
    finally:
        done.set()
        probing.join()
    assert answered and not unanswered, f"{len(unanswered)} probes had no answer"
    found = deployment.assert_settled(published)
    assert found["acme", f"note-{ATTACKS:04}", 0]["status"] == "answered"
    assert all(outcome["summary"] for outcome in found.values()), "what fails its checks is flagged"
