"""The switch of a tier: how fast it reaches everybody, what becomes of work in hand, and a worker that cannot hear of it.

The provider's stand-in and these tests read one clock, the machine's monotonic one: when a request arrived is the provider's word.
"""

import threading
import time

import notes
import pytest
import wire
from deployment import PERMISSIVE, Tier
from oracle import first_outcomes, settled

MID = Tier(
    "mid",
    "api",
    share=0.5,
    max_sensitivity="internal",
    residency=("*",),
    provider="openai",
    model="gpt-5.4-nano",
)
PREMIUM = Tier(
    "premium",
    "api",
    share=0.5,
    max_sensitivity="internal",
    residency=("*",),
    provider="anthropic",
    model="claude-haiku-4-5",
)
# The bounds that are promised.
OFF_SECONDS = 5
STALE_SECONDS = 10
# `premium` is slow, so that there is always work of it in hand: in its topic, and in workers that wait for its provider.
ANSWER_SECONDS = 0.5
BURST = 120
DOCUMENTS_A_SECOND = 6
PREMIUM_PATH = "/anthropic"
# What a worker says that ends because only a new process helps.
BY_DESIGN = ("was taken over by a newer holder", "the Kafka client failed")


def slow_premium(deployment, llmock, at_once: int) -> None:
    """Lets each worker ask `premium`'s provider for so much at once."""
    settings = deployment.service_settings()
    settings["api_worker"]["anthropic"]["max_concurrency"] = at_once
    deployment.service_settings = lambda: settings
    llmock.behave({"type": "delay", "seconds": ANSWER_SECONDS, "times": None})


def asked(llmock, path: str = "", since: float = 0.0, until: float = float("inf")) -> list[float]:
    """When the provider's requests of this path arrived, of those within a time."""
    return sorted(
        request["started_at"]
        for request in llmock.requests()
        if path in request["path"] and since < request["started_at"] <= until
    )


class Traffic:
    """Publishes a little all the time, and knows when each document was acknowledged."""

    def __init__(self, deployment):
        self.deployment = deployment
        self.published: dict[tuple, float] = {}
        self.number = 0
        self.over = threading.Event()
        self.turn = threading.Lock()
        self.thread = threading.Thread(target=self.run)

    def burst(self, count: int) -> None:
        with self.turn:
            documents = [notes.note(number) for number in range(self.number, self.number + count)]
            self.number += count
            identities = self.deployment.publish(documents)
            self.published |= dict.fromkeys(identities, time.monotonic())

    def run(self) -> None:
        while not self.over.wait(1):
            self.burst(DOCUMENTS_A_SECOND)

    def __enter__(self) -> "Traffic":
        self.thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.over.set()
        self.thread.join()

    def between(self, since: float, until: float) -> set[tuple]:
        return {who for who, at in self.published.items() if since < at <= until}


def actions(deployment) -> list[tuple]:
    records = [
        wire.schema("audit_record").decode(record.value)
        for record in deployment.kafka.read("audit")
    ]
    return [
        (
            record["by"],
            record["action"],
            record["target"],
            record["before"],
            record["after"],
            record["reason"],
        )
        for record in records
    ]


def watch(summaries, seconds: float) -> None:
    """Reads outcomes for so long: what must not happen has time to."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        summaries.poll()


def test_switch_reaches_all_in_five_seconds_without_loss(kafka_deployment, llmock):
    """A switch reaches every instance within five seconds and loses nothing."""
    deployment = kafka_deployment(MID, PREMIUM, llmock=llmock, checks=PERMISSIVE)
    slow_premium(deployment, llmock, at_once=1)
    for service, count in (("router", 3), ("api-worker", 2)):
        for number in range(1, count + 1):
            deployment.start(f"precis-{service}", instance=f"{service}-{number}")
    with Traffic(deployment) as traffic:
        traffic.burst(BURST)
        summaries = deployment.kafka.follow("summaries")
        summaries.until(lambda _: asked(llmock, PREMIUM_PATH), "premium's first requests")
        summaries.until(settled(20), "the first outcomes")

        begun = time.monotonic()
        deployment.cli("tier", "disable", "premium", "--reason", "provider incident", "--by", "ada")
        off = time.monotonic()
        watch(summaries, OFF_SECONDS + 4)
        still_off = time.monotonic()
        last = max(asked(llmock, PREMIUM_PATH, until=still_off))
        print(
            f"\ntime to off: the last request arrived {last - off:+.2f} s after the command returned, {last - begun:+.2f} s after it was given"
        )
        assert last - off <= OFF_SECONDS

        deployment.cli("tier", "enable", "premium", "--by", "ada")
        on = time.monotonic()
        summaries.until(
            lambda _: asked(llmock, PREMIUM_PATH, since=on), "requests after it is on again"
        )

        traffic.burst(BURST // 2)
        watch(summaries, 2)
        deployment.cli("tier", "drain", "premium", "--reason", "contract ends", "--by", "bob")
        drained = time.monotonic()
        watch(summaries, OFF_SECONDS + 4)
        end = time.monotonic()
    summaries.until(settled(len(traffic.published)), "every outcome")
    assert asked(llmock, PREMIUM_PATH, since=drained), "it had nothing to finish"
    print(f"drain: {len(asked(llmock, PREMIUM_PATH, since=drained))} requests finished what it had")
    found = deployment.assert_settled(set(traffic.published))

    # What it had in hand when it was switched off went elsewhere, and nothing else was refused: not by the drain either.
    refused = {who: outcome for who, outcome in found.items() if outcome["trail"]}
    assert refused and {
        (trial["tier"], trial["code"]) for outcome in refused.values() for trial in outcome["trail"]
    } == {("premium", "tier_off")}
    assert {outcome["tier"] for outcome in refused.values()} == {"mid"}
    assert all(traffic.published[who] < off + OFF_SECONDS for who in refused), (
        "a router still sent work to it"
    )
    print(f"re-routed: {len(refused)} of {len(found)} documents")
    late = traffic.between(drained + OFF_SECONDS, end)
    assert late and {found[who]["decision"]["chosen"] for who in late} == {"mid"}, (
        "new work went to it after the drain"
    )
    assert {outcome["status"] for outcome in found.values()} == {"answered"}
    assert {outcome["tier"] for outcome in found.values()} == {"mid", "premium"}
    assert actions(deployment) == [
        ("ada", "tier_off", "tier/premium", "on", "off", "provider incident"),
        ("ada", "tier_on", "tier/premium", "off", "on", ""),
        ("bob", "tier_drain", "tier/premium", "on", "drain", "contract ends"),
    ]


def test_operators_acting_at_once_each_get_their_record(kafka_deployment):
    """Operators who act at once each get their turn and their record."""
    deployment = kafka_deployment(MID, PREMIUM)
    deployment.cli("topics", "apply", "--by", "ada", "--reason", "a new deployment")
    reasons = [f"reason {number}" for number in range(3)]
    done = []

    def act(reason: str) -> None:
        done.append(deployment.cli("tier", "off", "premium", "--reason", reason, check=False))

    threads = [threading.Thread(target=act, args=(reason,)) for reason in reasons]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [act.returncode for act in done] == [0, 0, 0], [act.stderr.decode() for act in done]
    created, *switched = actions(deployment)
    assert created[:3] == ("ada", "topics_created", "topics")
    assert sorted(reason for *_, reason in switched) == reasons
    assert [before for *_, before, _, _ in switched] == ["on", "off", "off"]
    control = [
        wire.schema("tier_switch").decode(record.value)["reason"]
        for record in deployment.kafka.read("control")
    ]
    assert control == [reason for *_, reason in switched], "they stand in the same order"


@pytest.mark.parametrize(
    "way, switched", [("refused", False), ("stalled", True), ("unread", False), ("unread", True)]
)
def test_worker_cut_off_from_kafka_sends_nothing_after_10_s(
    linked_deployment, llmock, way, switched
):
    """A worker cut off from Kafka sends nothing after ten seconds."""
    deployment = linked_deployment(MID, PREMIUM, llmock=llmock, checks=PERMISSIVE)
    slow_premium(deployment, llmock, at_once=2)
    deployment.start("precis-router")
    worker = deployment.start("precis-api-worker")
    published = deployment.publish([notes.note(number) for number in range(2 * BURST)])
    summaries = deployment.kafka.follow("summaries")
    summaries.until(lambda _: len(asked(llmock, PREMIUM_PATH)) > 5, "premium's first requests")

    deployment.link.cut_as(way)
    cut = time.monotonic()
    if switched:
        deployment.cli("tier", "disable", "premium", "--reason", "provider incident")
    watch(summaries, cut + STALE_SECONDS + 8 - time.monotonic())
    assert len(first_outcomes(summaries.records)) < len(published), (
        "nothing was left to send: this shows nothing"
    )
    healed = time.monotonic()
    after = asked(llmock, since=cut, until=healed)
    deployment.link.heal()
    print(
        f"\n{way}: {len(after)} requests after the cut, the last {max(after, default=cut) - cut:.2f} s after it"
    )
    if way == "unread":
        assert after, "it had nothing in hand: this shows nothing"
    assert all(at - cut <= STALE_SECONDS for at in after)

    def settled_by_whoever_runs(records) -> bool:
        if not worker.is_running():
            # The broker gave its transaction up meanwhile: it says so and ends, and an orchestrator starts another.
            assert any(words in worker.tail(5) for words in BY_DESIGN), worker.tail()
            worker.start()
        return settled(len(published))(records)

    summaries.until(settled_by_whoever_runs, "every outcome")
    late = asked(llmock, PREMIUM_PATH, since=healed)
    found = deployment.assert_settled(published)
    refused = [outcome for outcome in found.values() if outcome["trail"]]
    if switched:
        assert late == [], "it sent before it had heard of the switch"
        assert refused and {outcome["tier"] for outcome in refused} == {"mid"}
    else:
        assert late and not refused
    assert {outcome["status"] for outcome in found.values()} == {"answered"}
