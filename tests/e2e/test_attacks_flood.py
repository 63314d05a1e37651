"""A tenant that publishes what nobody can serve, by the hundred, beside one that publishes documents: no process ends, and the other
tenant notices nothing. More of it comes in a row than ever ended a router."""

import time

import notes
import oracle
import poison_kinds
import wire
from deployment import API, PERMISSIVE, TENANT
from test_poison import EmbeddedPublisher, KafkaPublisher

EVIL = "evil"
TOPIC = f"documents.{EVIL}"
GARBAGE, UNSERVABLE, ORDINARY = 400, 250, 20
WAIT_SECONDS = 120
# Of a flood the log says the first, and how many more there were, once a minute.
MAX_LINES = 20


def garbage(number: int) -> poison_kinds.Sent:
    return poison_kinds.Sent(
        f"record {number} is no Avro".encode(), str(number).encode(), topic=TOPIC
    )


def unservable(number: int) -> poison_kinds.Sent:
    """A document in order, but for a summary of one word that it asks for."""
    document = notes.note(number, document_id=f"few-{number:04}", max_words=1)
    return poison_kinds.Sent(poison_kinds.encode(document), str(number).encode(), topic=TOPIC)


def flood(deployment, publisher) -> None:
    """Publishes it all, waits for every end, and holds what became of the services against what they are for."""
    pids = {name: service.pid for name, service in deployment.services.items()}
    ordinary = {(TENANT, f"ordinary-{number:04}", 0) for number in range(ORDINARY)}
    refused = {(EVIL, f"few-{number:04}", 0) for number in range(UNSERVABLE)}
    for number in range(GARBAGE):
        publisher.send(garbage(number), "garbage")
    for number in range(UNSERVABLE):
        publisher.send(unservable(number), "unservable")
    for number in range(ORDINARY):
        document = notes.note(number, document_id=f"ordinary-{number:04}")
        publisher.send(
            poison_kinds.Sent(poison_kinds.encode(document), str(number).encode()), "ordinary"
        )
    publisher.flush()

    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        outcomes = oracle.first_outcomes(publisher.read("summaries"))
        letters = publisher.read("dead-letters")
        done = outcomes.keys() >= ordinary | refused and len(letters) >= GARBAGE + UNSERVABLE
        if done or time.monotonic() > deadline:
            break
        time.sleep(0.5)
    running = {name: one.pid for name, one in deployment.services.items() if one.is_running()}
    assert running == pids, f"a service ended\n{deployment.logs()}"
    assert {outcomes[who]["status"] for who in ordinary & outcomes.keys()} == {"answered"}
    assert {outcomes[who]["code"] for who in refused & outcomes.keys()} == {
        "max_words_out_of_range"
    }
    schema = wire.schema("dead_letter")
    codes = [schema.decode(letter.value)["code"] for letter in letters]
    assert (codes.count("not_single_object"), len(codes)) == (GARBAGE, GARBAGE + UNSERVABLE)

    (router,) = (one for name, one in deployment.services.items() if name in {"router", "precis"})
    told = router.metric("precis_stage_sender_faults_total", tenant=EVIL, code="not_single_object")
    assert told == GARBAGE
    assert router.metric("precis_stage_topic_paused") == 0, "what only senders can cause"
    assert router.metric("precis_stage_unclean_takeovers_total") == 0
    said = [line for line in router.log.read_text().splitlines() if TOPIC in line]
    assert 0 < len(said) <= MAX_LINES, f"{len(said)} log lines of one tenant's flood"
    deployment.assert_settled(ordinary | refused)


def test_a_flood_stops_nobody_on_kafka(kafka_deployment, llmock):
    """Garbage of one tenant ends as dead letters, and the other tenant's documents are answered."""
    deployment = kafka_deployment(API, llmock=llmock, checks=PERMISSIVE)
    deployment.tenants = (TENANT, EVIL)
    deployment.start("precis-router")
    deployment.start("precis-api-worker")
    flood(deployment, KafkaPublisher(deployment))


def test_a_flood_stops_nobody_on_the_embedded_log(embedded_deployment, llmock):
    """Garbage of one tenant ends as dead letters, and the other tenant's documents are answered."""
    deployment = embedded_deployment(API, llmock=llmock, checks=PERMISSIVE)
    deployment.tenants = (TENANT, EVIL)
    deployment.start("precis", "up")
    flood(deployment, EmbeddedPublisher(deployment))
