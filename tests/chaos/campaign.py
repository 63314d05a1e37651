"""One run: start, publish under faults, quiet, fresh work, drain, judge."""

import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path

import evaluations
import evidence
import hostile
import oracle
import spills
import verdict
from arena import SIGTERM_SECONDS, Arena, Options
from confluent_kafka import ConsumerGroupTopicPartitions
from evidence import READ_AGAIN
from fleet import Exit
from hostile import Hostile
from plan import Fault
from publisher import KILLS, SHARES, Publisher
from recreation import Recreation, without_ours
from schedule import Schedule
from verdict import Facts, Finding

FRESH = 20
FRESH_SECONDS = 60
# With everything well again, whatever is left must move on: none of it for so long is the end.
STANDSTILL_SECONDS = 75
QUIET_INSTANCES = 2
TELL_SECONDS = 30
# What a killed process left open is aborted when its transaction times out, long after that it is never.
HANGING_SECONDS = 40
# So many are enough to say that something spills.
MAX_SPILLS = 1000
STAGES = "precis."
STEP_SECONDS = 0.1
# A run that lacks something that it promised goes on so long with the faults that lead to it, so often at most.
OVERTIME_SECONDS = 30.0
OVERTIMES = 3


@dataclass(frozen=True)
class Campaign:
    """What one run does. `full`: every kind of thing that the guarantee is about must have happened."""

    options: Options
    faults: list[Fault]
    seconds: float
    documents: int
    shares: dict[str, float] = field(default_factory=lambda: SHARES)
    full: bool = True
    standstill: float = STANDSTILL_SECONDS
    # How many documents that kill the process which summarises them are among the others.
    killers: int = 0
    # Whether an operator deletes a topic and makes it again, time and again.
    recreates: bool = False
    # Whether a hostile tenant attacks all the while.
    hostile: bool = False

    def promised(self) -> set[str]:
        """The counts that must not be 0 at its end."""
        wanted = evidence.promised(self.faults, self.documents / self.seconds, self.full)
        if self.hostile and self.full:
            wanted |= {"hostile records", "hostile floods"}
        if self.recreates and self.full:
            wanted |= {"topics made again", READ_AGAIN}
        return wanted


@dataclass
class Report:
    """What came of it."""

    campaign: Campaign
    findings: list[Finding] = field(default_factory=list)
    counts: Counter = field(default_factory=Counter)
    missing: list[str] = field(default_factory=list)
    exits: list[Exit] = field(default_factory=list)
    figures: dict = field(default_factory=dict)
    error: str = ""

    @property
    def good(self) -> bool:
        return not (self.findings or self.missing or self.error)


def run(campaign: Campaign, folder: Path, say) -> Report:
    """Runs it to its end. `say` is told what happens."""
    report = Report(campaign)
    with Arena(folder, campaign.options) as arena:
        say(f"starting {', '.join(campaign.options.services)}")
        arena.start()
        publisher = Publisher(
            arena.kafka.brokers, arena.deployment.put, campaign.options.seed, campaign.shares
        )
        for _ in range(campaign.killers):
            publisher.publish(KILLS)
        publisher.stream(campaign.documents / campaign.seconds, campaign.documents)
        operator = Recreation(arena.kafka, campaign.options.seed)
        if campaign.recreates:
            operator.start()
        attacker = Hostile(arena.kafka.brokers, arena.deployment.put, campaign.options.seed)
        if campaign.hostile:
            attacker.start()
        try:
            try:
                report.figures["faults that met nobody"] = endure(arena, campaign, publisher, say)
            finally:
                publisher.stop()
                operator.stop()
            settle(arena, publisher, operator, attacker, report, say)
        finally:
            attacker.stop()
        drain(arena, report)
        facts, uncommitted = gather(arena, publisher, open_for_long(arena))
        report.findings += operator.judge(facts.summaries)
        report.findings += attacker.judge(facts.summaries, facts.letters)
        report.findings += evaluations.judge(facts)
        facts = hostile.without_ours(without_ours(facts))
        report.findings += verdict.judge(facts)
        report.exits = arena.fleet.exits
        for one in (one for one in report.exits if one.is_finding()):
            report.findings.append(
                Finding(
                    "process",
                    f"{one.instance} ended {one.why}",
                    1,
                    (f"code {one.code}\n{one.tail}",),
                )
            )
        report.counts = evidence.happened(arena, facts, uncommitted)
        report.counts["topics made again"] = operator.recreated
        report.counts.update(attacker.counts)
        report.missing = evidence.missing(report.counts, campaign.promised())
        report.figures |= {
            "published": len(publisher.acknowledged),
            "not acknowledged": len(publisher.failed),
            "outcomes": len(facts.summaries),
            "dead letters": len(facts.letters),
            "evaluations": dict(evaluations.ended(facts.evaluations)),
            "processes": sum(arena.fleet.started.values()),
            "codes": dict(
                Counter(
                    outcome["code"]
                    for outcome, _ in oracle.outcomes(facts.summaries)
                    if outcome["code"]
                )
            ),
        }
    return report


def endure(arena: Arena, campaign: Campaign, publisher: Publisher, say) -> int:
    """Makes everything go wrong in its time, and once more what led to nothing; how many faults met nobody in the end."""
    say(
        f"faults begin at {datetime.now(UTC).isoformat(timespec='milliseconds')}, as the services' logs have it"
    )
    in_vain = go_wrong(arena, campaign.faults, campaign.seconds, publisher, say)
    per_second = campaign.documents / campaign.seconds
    for number in range(OVERTIMES):
        missing = evidence.missing(evidence.so_far(arena), campaign.promised())
        again = evidence.remedies(missing, arena.options, number)
        # For this one there is no fault: the operator makes the topic again all the while.
        names = {fault.kind for fault in again} | ({READ_AGAIN} & set(missing))
        if not names:
            break
        say(f"what was promised and did not happen yet is tried again: {', '.join(sorted(names))}")
        publisher.stream(per_second, int(OVERTIME_SECONDS * per_second))
        in_vain += go_wrong(arena, again, OVERTIME_SECONDS, publisher, say)
    return in_vain


def go_wrong(arena: Arena, faults: list[Fault], seconds: float, publisher: Publisher, say) -> int:
    """Begins and ends faults for so long; what lasts at the end is ended then. Returns how many met nobody."""
    schedule = Schedule(faults, arena.met, arena.reachable)
    begun = told = time.monotonic()
    while (now := time.monotonic() - begun) < seconds:
        for step in schedule.due(now):
            (arena.begin if step.what == "begin" else arena.end)(step.fault)
        if time.monotonic() - told >= TELL_SECONDS:
            told = time.monotonic()
            say(
                f"{now:.0f} s of faults: {len(publisher.acknowledged)} published, {sum(arena.fleet.started.values())} processes so far"
            )
        time.sleep(STEP_SECONDS)
    for channel in list(schedule.lasting):
        arena.end(schedule.end(channel))
    return len(schedule.in_vain)


def settle(
    arena: Arena,
    publisher: Publisher,
    operator: Recreation,
    attacker: Hostile,
    report: Report,
    say,
) -> None:
    """Ends all faults, times fresh documents, and waits until everything has its end or nothing moves any more. The hostile tenant attacks
    until the fresh documents are settled: they keep their bound beside it."""
    arena.heal()
    for service in arena.options.services:
        arena.fleet.do(arena.fleet.scale, service, QUIET_INSTANCES)
    healed = time.monotonic()
    fresh = publisher.fresh(FRESH)
    say(
        f"all is well again; {FRESH} fresh documents, {len(publisher.acknowledged)} published in all"
    )
    summaries, letters = arena.kafka.follow("summaries"), arena.kafka.follow("dead-letters")
    judged = arena.kafka.follow("evaluations")
    ends, awaited = verdict.Ends(), evaluations.Awaited()
    done, left, moved = 0.0, -1, healed
    while not arena.fleet.broken:
        ends.look(summaries.to_the_end(), letters.to_the_end())
        awaited.look(summaries.records, judged.to_the_end())
        if not done and fresh <= ends.firsts:
            done = time.monotonic() - healed
            say(f"fresh documents settled after {done:.1f} s")
        if done or time.monotonic() - healed > FRESH_SECONDS:
            attacker.stop()
        now_left = ends.unfinished(publisher.acknowledged) + operator.unfinished(ends.firsts)
        now_left += awaited.unfinished()
        if attacker.is_over:
            now_left += attacker.unfinished(ends)
        if now_left != left:
            left, moved = now_left, time.monotonic()
        if left == 0 and done or time.monotonic() - moved > report.campaign.standstill:
            break
        time.sleep(0.5)
    report.figures |= {
        "fresh settled after s": round(done, 1) or None,
        "all settled after s": round(time.monotonic() - healed, 1),
        "unfinished": left,
    }
    if not done or done > FRESH_SECONDS:
        missing = len(fresh - ends.firsts)
        took = f"after {done:.1f} s" if done else f"never: {missing} of {FRESH} are missing"
        report.findings.append(
            Finding("liveness", f"new work did not flow within {FRESH_SECONDS} s", 1, (took,))
        )
    if not arena.fleet.settle(
        lambda: arena.ready() == QUIET_INSTANCES * len(arena.options.services), FRESH_SECONDS
    ):
        said = "; ".join(
            life.service.tail(3) for life in arena.fleet.running() if not life.service.is_ready()
        )
        report.findings.append(Finding("liveness", "services that are not ready", 1, (said,)))


def drain(arena: Arena, report: Report) -> None:
    """SIGTERM to all; the fleet notes who takes too long."""
    for service in arena.options.services:
        arena.fleet.do(arena.fleet.scale, service, 0)
    arena.fleet.settle(
        lambda: not arena.fleet.lives and arena.fleet.calls.empty(), SIGTERM_SECONDS + 10
    )
    drained = [one.seconds for one in arena.fleet.exits if one.why == "drained"]
    report.figures["longest drain s"] = round(max(drained, default=0), 1)


def open_for_long(arena: Arena) -> list[tuple[str, int, int, int]]:
    """Where transactions stay open although nobody works any more."""
    deadline = time.monotonic() + HANGING_SECONDS
    while (found := arena.kafka.open_transactions()) and time.monotonic() < deadline:
        time.sleep(1)
    return found


def gather(
    arena: Arena, publisher: Publisher, hanging: list[tuple[str, int, int, int]]
) -> tuple[Facts, int]:
    """Everything there is, read by clients that nothing goes wrong for; and how many records are there that were never committed."""
    kafka = arena.kafka
    committed = {topic: kafka.read(topic) for topic in sorted(kafka.topics())}
    uncommitted = sum(
        len(kafka.read(topic, "read_uncommitted")) - len(records)
        for topic, records in committed.items()
    )
    behind = {
        (topic, record.partition): record.offset + 1
        for topic, records in committed.items()
        for record in sorted(records, key=lambda record: record.offset)
    }
    named = {outcome["answer_key"] for outcome, _ in oracle.outcomes(committed["summaries"])} - {
        None
    }
    said = chain(
        spills.in_files(sorted(arena.folder.glob("*.log"))),
        [("metrics", "\n".join(sorted(arena.fleet.series)).encode())],
        spills.in_topics(committed),
    )
    routing = (arena.deployment.store.get("keys/routing") or b"").decode().split()
    keys = [*arena.deployment.keys().values(), *routing]
    spilled = list(islice(spills.spilled(said, keys), MAX_SPILLS))
    answers = {key: arena.deployment.store.get(key) for key in sorted(named)}
    return Facts(
        sent=list(publisher.acknowledged),
        summaries=committed["summaries"],
        letters=committed["dead-letters"],
        objects=arena.deployment.store.objects("results/")
        | arena.deployment.store.objects(evaluations.OBJECTS)
        | answers,
        evaluations=committed["evaluations"],
        judges=arena.options.judges,
        ledger=committed["ledger"],
        asked=list(arena.provider.asked),
        offsets=offsets(kafka, behind),
        spilled=spilled,
        hanging=hanging,
    ), uncommitted


def offsets(
    kafka, behind: dict[tuple[str, int], int]
) -> dict[tuple[str, str, int], tuple[int, int]]:
    """Committed offsets of all stages beside the ends of their topics, for partitions that ever held a record."""
    found = {}
    for group in kafka.admin.list_consumer_groups().result().valid:
        if not group.group_id.startswith(STAGES) or group.group_id.endswith(".reader"):
            continue
        asked = kafka.admin.list_consumer_group_offsets(
            [ConsumerGroupTopicPartitions(group.group_id)]
        )
        for place in asked[group.group_id].result().topic_partitions:
            if (place.topic, place.partition) in behind:
                found[group.group_id, place.topic, place.partition] = (
                    place.offset,
                    behind[place.topic, place.partition],
                )
    return found
