"""The oracle of evaluations: which summaries are to be judged, computed a second time, and what must hold of what became of them.

By the text of `services/shared/statistics/src/sampling.rs` and `services/shared/policy/src/evaluation.rs`, in another language: a
summary is chosen by a hash of its document's identity, whoever publishes it and how often. So at the end each chosen one has exactly
one record on `evaluations` for each of its rounds, whose bytes are those of its object, and no other summary has one. It names the
outcome that was judged, and says of it nothing else than the outcome does.
"""

from collections import Counter, defaultdict

import digests
import oracle
import verdict
import wire
from kafka import Record
from verdict import CRASH_SUSPECT, EXAMPLES, PROVIDERS_FAULT, Facts, Finding, Findings

# What a run's policy says in `[evaluation]`, beside its judges.
SHARES = {"rate": 0.3, "uncertain_below": 0.7, "uncertain_rate": 0.5, "second_opinions": 0.3}
FIRST_SALT, SECOND_SALT = "evaluation 1", "evaluation 2"
OBJECTS = "evaluations/"
# The tier outside of the network, to which no restricted document may go.
OUTSIDE = "api"
NO_JUDGE, UNREADABLE = "no_judge", "judge_unreadable"
# How an evaluation may fail at its judge in these runs.
FAILS = {*PROVIDERS_FAULT, UNREADABLE, CRASH_SUSPECT}
# For what a judge may refuse: its provider is down or cannot be read, or the summary has had its requests.
REFUSALS = {*PROVIDERS_FAULT, "provider_down", "provider_unreadable", "paid_requests_exhausted"}
# What an evaluation repeats of the outcome.
REPEATED = (
    "origin",
    "request_digest",
    "tier",
    "model",
    "quality_index",
    "language",
    "critical",
    "document_type",
    "subject_ids",
)
NAME = "evaluation"

# A document's summary and the round in which it is judged.
Key = tuple[oracle.Identity, int]


def chosen(outcome: dict) -> dict[int, float]:
    """The rounds in which an outcome's summary is to be judged, each with the probability that one of its kind is."""
    if outcome["summary"] is None:
        return {}
    index = outcome["quality_index"]
    uncertain = outcome["status"] == "flagged" or (
        index is not None and index < SHARES["uncertain_below"]
    )
    rate = max(SHARES["rate"], SHARES["uncertain_rate"]) if uncertain else SHARES["rate"]
    who = oracle.identity(outcome)
    if place(FIRST_SALT, who) >= rate:
        return {}
    second = SHARES["second_opinions"]
    return {1: rate} | ({2: rate * second} if place(SECOND_SALT, who) < second else {})


def place(salt: str, who: oracle.Identity) -> float:
    """Where a document lies between 0, chosen first, and 1: the first 53 bits of a hash."""
    tenant, document_id, revision = who
    digest = digests.hashed("precis sample v1", salt, tenant, document_id, str(revision))
    return (int(digest[:16], 16) >> 11) / 2**53


def wanted(summaries: list[Record]) -> dict[Key, tuple[float, dict]]:
    """What is to be judged of these outcomes, with the probability and the outcome."""
    return {
        (oracle.identity(outcome), round_): (probability, outcome)
        for outcome, record in oracle.outcomes(summaries)
        if not oracle.is_repeat(record)
        for round_, probability in chosen(outcome).items()
    }


def read(value: bytes) -> tuple[Key, dict]:
    evaluation = wire.schema("evaluation").decode(value)
    return (oracle.identity(evaluation), evaluation["round"]), evaluation


def object_key(key: Key) -> str:
    """Where an evaluation lies; tenants of these runs have plain names."""
    (tenant, document_id, revision), round_ = key
    hashed = digests.sha256(document_id.encode())
    return f"{OBJECTS}{tenant}/{hashed[:2]}/{hashed}.r{revision}.{round_}"


def ended(records: list[Record]) -> Counter[str]:
    """How many were judged, and how many failed by code."""
    evaluations = (read(record.value)[1] for record in records)
    return Counter(evaluation["code"] or evaluation["status"] for evaluation in evaluations)


def counted(records: list[Record]) -> Counter[str]:
    """The same as the counts of what happened in a run."""
    counts = Counter({f"evaluations {end}": count for end, count in ended(records).items()})
    counts["second opinions"] = sum(read(record.value)[0][1] == 2 for record in records)
    return counts


class Awaited:
    """The evaluations that a run waits for. Takes records as they come, as `verdict.Ends` does."""

    def __init__(self):
        self.looked_at = [0, 0]
        self.wanted: set[Key] = set()
        self.there: set[Key] = set()

    def look(self, summaries: list[Record], evaluations: list[Record]) -> None:
        """All records so far; those of the last look come first."""
        self.wanted |= wanted(summaries[self.looked_at[0] :]).keys()
        self.there |= {read(record.value)[0] for record in evaluations[self.looked_at[1] :]}
        self.looked_at = [len(summaries), len(evaluations)]

    def unfinished(self) -> int:
        return len(self.wanted - self.there)


def judge(facts: Facts) -> list[Finding]:
    """Every breach, in what is about evaluations alone; of all tenants, since outcomes say which there are to be."""
    findings = Findings()
    due = wanted(facts.summaries)
    found: dict[Key, list[tuple[dict, bytes]]] = defaultdict(list)
    for record in facts.evaluations:
        key, evaluation = read(record.value)
        found[key].append((evaluation, record.value))
    for key in due.keys() - found.keys():
        findings.add(NAME, "chosen summary without an evaluation", key)
    for key in found.keys() - due.keys():
        findings.add(NAME, "evaluation of a summary that was not chosen", key)
    for key, several in found.items():
        if len(several) > 1:
            findings.add(NAME, f"{len(several)} evaluations of one summary in one round", key)
    stored(findings, facts, found)
    restricted = documents_inside(facts)
    for key in due.keys() & found.keys():
        for evaluation, _ in found[key]:
            body(findings, key, *due[key], evaluation)
            end(findings, key, facts.judges, key[0] in restricted, evaluation)
    asked(findings, facts)
    letters(findings, facts, found)
    suspects = [key for key, several in found.items() if several[0][0]["code"] == CRASH_SUSPECT]
    if len(suspects) > max(1, verdict.CONVICTED_SHARE * len(due)):
        findings.add(NAME, f"{len(suspects)} taken for killers", suspects[:EXAMPLES])
    return findings.all()


def stored(findings: Findings, facts: Facts, found: dict[Key, list]) -> None:
    """Objects against the topic."""
    objects = {key: data for key, data in facts.objects.items() if key.startswith(OBJECTS)}
    for key, several in found.items():
        data = objects.pop(object_key(key), None)
        if data is None:
            findings.add(NAME, "evaluation without its object", key)
        elif any(value != data for _, value in several):
            findings.add(NAME, "evaluation that differs from its object", key)
    for key in objects:
        findings.add(NAME, "object of an evaluation that is not on the topic", key)


def body(findings: Findings, key: Key, probability: float, outcome: dict, evaluation: dict) -> None:
    """What an evaluation says of the outcome against the outcome."""
    expected = {name: outcome[name] for name in REPEATED} | {
        "probability": probability,
        "outcome_status": outcome["status"],
        "summary_sha256": digests.sha256(outcome["summary"].encode()),
    }
    for name, value in expected.items():
        if evaluation[name] != value:
            findings.add(
                NAME, f"{name} of another outcome", f"{key}: {evaluation[name]!r} for {value!r}"
            )


def end(findings: Findings, key: Key, judges, is_restricted: bool, evaluation: dict) -> None:
    """Whether an evaluation ended as one of its kind may."""
    code, tier = evaluation["code"], evaluation["judge_tier"]
    refusals = {trial["code"] for trial in evaluation["trail"]}
    if is_restricted and (tier == OUTSIDE or refusals):
        findings.add("leaked", "summary of a restricted document given to a judge outside", key)
    if tier is not None and tier not in judges:
        findings.add(NAME, f"judged by {tier}, which is no judge", key)
    if evaluation["status"] == "judged":
        if code or tier is None or not evaluation["scores"]:
            findings.add(NAME, "judged, and not as what is judged", f"{key}: {evaluation}")
    elif code == NO_JUDGE:
        nobody_may = is_restricted and set(judges) == {OUTSIDE}
        if not (nobody_may or refusals) or refusals - REFUSALS:
            said = f"{key}, refused with {sorted(refusals)}: {evaluation['message']}"
            findings.add(NAME, "no judge where there is one", said)
    elif code not in FAILS:
        findings.add(NAME, f"given up with {code}", f"{key}: {evaluation['message']}")


def documents_inside(facts: Facts) -> set[oracle.Identity]:
    """The restricted documents among the outcomes; of several requests under one identity, the one that won says so."""
    won = {
        (oracle.identity(outcome), outcome["request_digest"])
        for outcome, _ in oracle.outcomes(facts.summaries)
    }
    return {
        sent.identity
        for sent in facts.sent
        if sent.document
        and sent.document["sensitivity"] == "restricted"
        and (sent.identity, digests.request_digest(sent.document)) in won
    }


def asked(findings: Findings, facts: Facts) -> None:
    """What a judge was shown: a document and its own summary."""
    summaries = {
        (oracle.identity(outcome), outcome["request_digest"]): outcome["summary"]
        for outcome, _ in oracle.outcomes(facts.summaries)
    }
    own = {
        sent.marker: summaries.get((sent.identity, digests.request_digest(sent.document)))
        for sent in facts.sent
        if sent.document
    }
    for one in facts.asked:
        if one.summary is not None and own.get(one.marker, one.summary) != one.summary:
            said = f"{one.marker}: {one.summary!r} for {own[one.marker]!r}"
            findings.add(NAME, "judge that was shown another summary", said)


def letters(findings: Findings, facts: Facts, found: dict[Key, list]) -> None:
    """Dead letters of requests to judge: the evaluation failed with the same code. One that is taken for a killer may have been judged."""
    for one in map(verdict.letter, facts.letters):
        if one.judged is None or one.code == CRASH_SUSPECT:
            continue
        if one.code not in {evaluation["code"] for evaluation, _ in found.get(one.judged, [])}:
            findings.add(NAME, f"dead letter {one.code} of one that did not fail so", one.judged)
