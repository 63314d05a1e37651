"""What really happened in a run, counted from the services' logs and metrics, the proxies, the provider and the topics.

A run in which nothing went wrong proves nothing: every count that its plan promises must be over 0, or the run is void.
"""

import json
from collections import Counter
from pathlib import Path

import evaluations
import oracle
import plan
from arena import Arena, Options
from fleet import FENCED
from plan import Fault
from verdict import Facts

READ_AGAIN = "partitions read again"
# What these lines of a service's log are counted as.
LINES = {
    "assigned": "partitions assigned",
    "revoked: draining": "partitions revoked",
    "lost": "partitions lost",
    "a transaction was aborted": "aborted transactions",
    "a transaction was aborted, or a connection broke: the Kafka producer is replaced": "producers replaced",
    "the log is not as it was left: it is read from its beginning": READ_AGAIN,
}
METRICS = {
    "precis_escalations_total": "escalations",
    "precis_settle_lost_races_total": "creates lost to another's result",
    "precis_stage_retries_total": "retries",
    "precis_api_retries_total": "retries of a provider",
}
# What a fault of the plan must lead to.
PROMISED = {
    "kill": "killed",
    "terminate": "drained",
    "broker_kill": "broker restarts",
    "broker_freeze": "broker freezes",
    "link_cut": "cut connections",
    "link_stall": "stalled chunks",
    "link_slow": "slowed chunks",
    plan.SCALE: "partitions revoked",
}
# A fault of the store or the provider must have met somebody if it reigned while so many documents were published; a shorter one may
# meet nobody, and only some fault of its channel must have.
DOCUMENTS_MEET_IT = 30
MEETING = ("s3_", "provider_")
ALWAYS = ("partitions assigned", "outcomes", "offsets checked")
FULL = (
    "aborted transactions",
    "records of aborted transactions",
    "fenced",
    "replays",
    "lost creates",
    "escalations",
    "repeats",
    "dead letters",
    "failpoint",
    "evaluations judged",
    "evaluations no_judge",
    "evaluations judge_unreadable",
    "second opinions",
)


def so_far(arena: Arena) -> Counter[str]:
    """The counts that can be told while a run goes on."""
    counts: Counter[str] = Counter(one.why for one in arena.fleet.exits)
    counts.update(lines(arena.folder))
    for series, value in arena.fleet.metrics.items():
        if counted := METRICS.get(series.partition("{")[0]):
            counts[counted] += int(value)
    counts.update(arena.link.counts)
    counts.update({f"s3 {name}": count for name, count in arena.s3_proxy.counts.items()})
    counts.update({f"provider {name}": count for name, count in arena.provider.counts.items()})
    # A summary is judged in two rounds, and asked for twice where the first answer is none.
    written = [asked for asked in arena.provider.asked if asked.summary is None]
    answered = Counter(asked.marker for asked in written if asked.answered)
    counts["answered twice"] = sum(count - 1 for count in answered.values())
    for kind in (kind for kind in plan.KIND.values() if kind.name.startswith(MEETING)):
        counts[f"{kind.channel} faults"] += counts[kind.name.replace("_", " ", 1)]
    counts["broker restarts"], counts["broker freezes"] = (
        arena.broker_restarts,
        arena.broker_freezes,
    )
    counts["lost creates"] = max(
        counts["s3 412 of a result"], counts["creates lost to another's result"]
    )
    return counts


def happened(arena: Arena, facts: Facts, uncommitted: int) -> Counter[str]:
    """All counts. `uncommitted`: records that only a reader of uncommitted ones sees."""
    counts = so_far(arena)
    counts["records of aborted transactions"] = uncommitted
    counts["outcomes"] = len(facts.summaries)
    counts["repeats"] = sum(oracle.is_repeat(record) for record in facts.summaries)
    counts["dead letters"] = len(facts.letters)
    counts["offsets checked"] = len(facts.offsets)
    counts["requests checked"] = len(facts.asked)
    counts.update(evaluations.counted(facts.evaluations))
    # A settled result is read by a redelivery, by a repeat and by whoever lost its create.
    counts["replays"] = max(
        counts["s3 settled result read"] - counts["repeats"], counts["answered twice"]
    )
    return counts


def lines(folder: Path) -> Counter[str]:
    """What the logs of all services say."""
    counts: Counter[str] = Counter()
    for file in folder.glob("*-*.log"):
        for line in file.read_text(errors="replace").splitlines():
            if not line.startswith("{"):
                continue
            event = json.loads(line) if line.endswith("}") else {}
            if counted := LINES.get(event.get("message", "")):
                counts[counted] += 1
            if event.get("level") == "ERROR":
                said = event.get("error", "")
                counts["fenced"] += event.get("code") == "fenced" or any(
                    word in said for word in FENCED
                )
    return counts


def promised(faults: list[Fault], per_second: float, full: bool) -> set[str]:
    """The counts that must not be 0: what the plan has, and for a full run all that the guarantee is about."""
    names = set(ALWAYS) | (set(FULL) if full else set())
    seconds: Counter[str] = Counter()
    for fault in faults:
        if fault.kind in PROMISED:
            names.add(PROMISED[fault.kind])
        elif fault.kind.startswith(MEETING):
            names.add(f"{plan.KIND[fault.kind].channel} faults")
            seconds[fault.kind] += fault.seconds
    return names | {
        kind.replace("_", " ", 1)
        for kind, reigned in seconds.items()
        if reigned * per_second >= DOCUMENTS_MEET_IT
    }


def missing(counts: Counter[str], wanted: set[str]) -> list[str]:
    """What was promised and did not happen."""
    return sorted(name for name in wanted if not counts[name])


# What leads to what was promised and can be told while a run goes on.
REMEDIES = {
    "fenced": "double",
    "aborted transactions": "kill",
    "killed": "kill",
    "drained": "terminate",
    "lost creates": "s3_lost_reply",
    "broker restarts": "broker_kill",
    "broker freezes": "broker_freeze",
    "cut connections": "link_cut",
    "stalled chunks": "link_stall",
    "slowed chunks": "link_slow",
    "s3 faults": "s3_503",
    "provider faults": "provider_429",
}


def remedies(lacking: list[str], options: Options, number: int) -> list[Fault]:
    """The faults by which a run tries again to make happen what it lacks: one after the other, each on every service it may concern."""
    kinds = [REMEDIES.get(name, name.replace(" ", "_", 1)) for name in lacking]
    kinds = [kind for kind in dict.fromkeys(kinds) if kind in plan.KIND]
    faults = []
    for kind in kinds:
        of_processes = plan.KIND[kind].channel == "process"
        for target in options.services if of_processes else ("",):
            faults.append(Fault(2.0 * len(faults), kind, target, plan.KIND[kind].longest, number))
    return faults
