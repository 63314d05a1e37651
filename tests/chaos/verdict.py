"""The oracle: what must hold at the end of a run, whatever went wrong on the way. Reports every breach, not only the first.

| finding | what must hold |
| --- | --- |
| lost | every acknowledged document has an outcome in the view of a reader of committed records; what is no document, a dead letter |
| duplicate | not marked as repeats, an identity has exactly one outcome; with them, as many as its records; a rejection one letter |
| stranger | nothing is there that nobody published |
| body | digest, fingerprint, length in words and origin of an outcome are those of what was published; the answer is about that document |
| store | the result object is there once and is the record byte for byte; so is the answer that it names |
| failed | no document is given up because Kafka, S3 or a process was away |
| leaked | no restricted document reached a provider, to be summarised or to be judged |
| ledger | whatever reached a provider is in the ledger, with what it was for |
| evaluation | each summary that is chosen has exactly one evaluation for each round, and no other has one (`evaluations.py`) |
| spilled | no log, metric, key, header or error holds a provider's key or what a document says (`spills.py`) |
| offsets | committed offsets stand right behind the last committed record: nothing left, nothing skipped |
| hanging | no transaction is left that nobody ends: readers of committed records and members of the group would wait for it for ever |

A pure function of `Facts`, so that it can be held itself to noticing each.
"""

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import digests
import oracle
import wire
from kafka import Record
from providers import Asked
from publisher import KILLS, TENANT, Sent

# Why a document may end as failed: its provider failed on it, time and again.
PROVIDERS_FAULT = {
    "provider_error",
    "provider_unreachable",
    "provider_overloaded",
    "provider_throttled",
}
# How a document ends that kills the process.
CRASH_SUSPECT = "crash_suspect"
# Kills from outside can look like a killer: several in a row with one record, without a commit in between (docs/operate/guarantees.md). A plan that kills
# every few seconds may come to that, with so small a share of the documents; the run tells how many.
CONVICTED_SHARE = 0.005
EXAMPLES = 3


@dataclass
class Facts:
    """What was published, and what is there."""

    sent: list[Sent]
    summaries: list[Record]
    letters: list[Record]
    # Every result and every answer that an outcome names, by key; `None` where there is none.
    objects: dict[str, bytes | None]
    ledger: list[Record] = field(default_factory=list)
    # Everything that reached a provider.
    asked: list[Asked] = field(default_factory=list)
    # What judges said; their objects are among the others. The tiers that the policy names as judges.
    evaluations: list[Record] = field(default_factory=list)
    judges: tuple[str, ...] = ()
    # By (group, topic, partition): the committed offset, and the offset behind the last committed record.
    offsets: dict[tuple[str, str, int], tuple[int, int]] = field(default_factory=dict)
    # Keys and texts where none may be: what, where, and what stands around it.
    spilled: list[tuple[str, str, str]] = field(default_factory=list)
    # Partitions with records of a transaction without an end, when nobody runs any more: topic, partition, stable up to, end.
    hanging: list[tuple[str, int, int, int]] = field(default_factory=list)

    def without(self, tenant: str, is_letter_of: Callable[[Record], bool]) -> "Facts":
        """The facts about all other tenants, for the oracle that knows one. Offsets stay: they are right in every topic."""
        return replace(
            self,
            summaries=[
                record
                for outcome, record in oracle.outcomes(self.summaries)
                if outcome["tenant"] != tenant
            ],
            letters=[record for record in self.letters if not is_letter_of(record)],
            objects={
                key: data
                for key, data in self.objects.items()
                if not key.startswith(f"results/{tenant}/")
            },
        )


@dataclass(frozen=True)
class Finding:
    """One kind of breach: how often, and such as."""

    name: str
    what: str
    count: int
    examples: tuple[str, ...]

    def line(self) -> str:
        return f"{self.name}: {self.count} × {self.what}, such as {'; '.join(self.examples)}"


class Findings:
    """Collects breaches by name and wording."""

    def __init__(self):
        self.found: dict[tuple[str, str], list[str]] = defaultdict(list)

    def add(self, name: str, what: str, example) -> None:
        self.found[name, what].append(str(example))

    def all(self) -> list[Finding]:
        return [
            Finding(name, what, len(examples), tuple(examples[:EXAMPLES]))
            for (name, what), examples in self.found.items()
        ]


@dataclass(frozen=True)
class Letter:
    """A dead letter and whose it is, where that can be told; `judged`: the summary and the round that it asked a judge for."""

    id: str
    code: str
    value: bytes | None
    identity: oracle.Identity | None
    digest: str | None
    judged: tuple[oracle.Identity, int] | None = None


def judge(facts: Facts) -> list[Finding]:
    """Every breach there is."""
    findings = Findings()
    outcomes = oracle.outcomes(facts.summaries)
    letters = [letter(record) for record in facts.letters]
    doubled(findings, letters)
    # An evaluation that fails says nothing of its document.
    letters = [one for one in letters if one.judged is None]
    by_identity = defaultdict(list)
    for sent in facts.sent:
        if sent.document:
            by_identity[sent.identity].append(sent)
    of_outcomes = defaultdict(list)
    for outcome, record in outcomes:
        of_outcomes[oracle.identity(outcome)].append((outcome, record))
    for who in of_outcomes.keys() - by_identity.keys():
        findings.add("stranger", "outcome of a document that nobody published", who)
    for who, sent in by_identity.items():
        ends(
            findings,
            who,
            sent,
            of_outcomes.get(who, []),
            [one for one in letters if one.identity == who],
        )
    dead_letters(findings, facts, letters, by_identity, of_outcomes)
    stored(findings, facts, of_outcomes, by_identity)
    outside(findings, facts)
    for place, (committed, behind) in facts.offsets.items():
        if committed != behind:
            said = "left behind" if committed < behind else "skipped"
            findings.add(
                "offsets",
                f"committed offset with records {said}",
                f"{place}: committed {committed}, the records end at {behind}",
            )
    for topic, partition, stable, end in facts.hanging:
        findings.add(
            "hanging",
            "transaction without an end",
            f"{topic} [{partition}], from offset {stable} of {end}",
        )
    suspects = {one.identity for one in letters if one.code == CRASH_SUSPECT}
    convicted = [
        who for who, sent in by_identity.items() if who in suspects and sent[0].kind != KILLS
    ]
    if len(convicted) > max(1, CONVICTED_SHARE * len(by_identity)):
        findings.add(
            "convicted",
            f"{len(convicted)} innocent documents taken for killers",
            convicted[:EXAMPLES],
        )
    return findings.all()


class Ends:
    """What has come to its end so far: what a run waits for. Takes records as they come, since the proxies run in this process, and to
    decode everything again at every look would hold up the very work that is watched."""

    def __init__(self):
        self.looked_at = [0, 0]
        self.firsts: set[oracle.Identity] = set()
        self.have: Counter = Counter()
        self.values: Counter = Counter()
        self.winners: dict[oracle.Identity, str] = {}
        # The ids of all dead letters: stage and position.
        self.letters: set[str] = set()
        self.suspects: list[Letter] = []

    def look(self, summaries: list[Record], letters: list[Record]) -> None:
        """All records so far; those of the last look come first."""
        new_summaries, new_letters = (
            records[at:] for records, at in zip((summaries, letters), self.looked_at, strict=True)
        )
        self.looked_at = [len(summaries), len(letters)]
        for outcome, record in oracle.outcomes(new_summaries):
            who = oracle.identity(outcome)
            self.have[who] += 1
            self.winners[who] = outcome["request_digest"]
            if not oracle.is_repeat(record):
                self.firsts.add(who)
        for one in map(letter, new_letters):
            self.letters.add(one.id)
            if one.judged is not None:
                continue
            if one.identity is None:
                self.values[one.value] += 1
            elif one.code == "id_conflict":
                self.have[one.identity] += 1
            elif one.code == CRASH_SUSPECT:
                self.suspects.append(one)

    def unfinished(self, sent: list[Sent]) -> int:
        """How many acknowledged records have no end yet."""
        need = Counter(one.identity for one in sent if one.document)
        # Beside its letter a suspect has an outcome, unless another request has it.
        have = self.have + Counter(
            one.identity
            for one in self.suspects
            if self.winners.get(one.identity, one.digest) != one.digest
        )
        left = sum(max(0, count - have[who]) for who, count in need.items())
        return left + sum(one.document is None and not self.values[one.value] for one in sent)


def letter(record: Record) -> Letter:
    """A dead letter; the identity is read out of whatever record it is of."""
    read = wire.schema("dead_letter").decode(record.value)
    document, judged = document_of(read["value"] or b"")
    if document is None:
        return Letter(read["id"], read["code"], read["value"], None, None)
    identity = (TENANT, document["document_id"], document["revision"])
    digest = digests.request_digest(document)
    return Letter(read["id"], read["code"], read["value"], identity, digest, judged)


def document_of(value: bytes) -> tuple[dict | None, tuple[oracle.Identity, int] | None]:
    """The document that a record holds, `None` where it holds none, whatever it says that it is; and which summary in which round is to be
    judged, where one is."""
    for name in ("escalation", "routed_document", "document"):
        if value[:10] != wire.schema(name).prefix:
            continue
        judged = None
        try:
            if name == "escalation":
                value = wire.schema(name).decode(value)["routed"]
            if name != "document":
                routed = wire.schema("routed_document").decode(value)
                value = routed["document"]
                if routed["evaluation"]:
                    judged = oracle.identity(routed), routed["evaluation"]["round"]
            return wire.schema("document").decode(value), judged
        except Exception:  # The reader fails in many ways on bytes that somebody made up.
            return None, None
    return None, None


def ends(findings: Findings, who, sent: list[Sent], outcomes: list, letters: list[Letter]) -> None:
    """One identity: its outcomes, and the letters of the requests that lost it."""
    if not outcomes:
        findings.add(
            "lost", "document without an outcome", f"{who} of {[one.position for one in sent]}"
        )
        return
    firsts = [outcome for outcome, record in outcomes if not oracle.is_repeat(record)]
    if len(firsts) != 1:
        name = "duplicate" if firsts else "lost"
        findings.add(
            name,
            f"{len(firsts)} outcomes that are no repeats",
            f"{who}: {[outcome['summary'] for outcome in firsts]}",
        )
    winner = outcomes[0][0]["request_digest"]
    of_winner = [one for one in sent if digests.request_digest(one.document) == winner]
    if len(outcomes) != len(of_winner) and of_winner:
        name = "duplicate" if len(outcomes) > len(of_winner) else "lost"
        findings.add(name, f"{len(outcomes)} outcomes of {len(of_winner)} equal records", who)
    # One that was taken for a killer never learned that it conflicts.
    refused = Counter(one.digest for one in letters if one.code in {"id_conflict", CRASH_SUSPECT})
    for digest, count in Counter(
        digests.request_digest(one.document) for one in sent if one not in of_winner
    ).items():
        if refused[digest] != count:
            name = "duplicate" if refused[digest] > count else "lost"
            findings.add(
                name, f"{refused[digest]} dead letters of {count} conflicting records", who
            )
    for outcome, _ in outcomes:
        body(
            findings,
            who,
            [
                one
                for one in sent
                if digests.request_digest(one.document) == outcome["request_digest"]
            ],
            outcome,
        )


def body(findings: Findings, who, sent: list[Sent], outcome: dict) -> None:
    """What an outcome says of its document against what was published."""
    if not sent:
        findings.add("body", "request digest that nobody published", who)
        return
    first = sent[0]
    origin = outcome["origin"]
    if (origin["topic"], origin["partition"], origin["offset"]) not in {
        one.position for one in sent
    }:
        findings.add("body", "origin that is none of its records", f"{who}: {origin}")
    if outcome["status"] == "failed":
        if outcome["code"] not in (
            {*PROVIDERS_FAULT, CRASH_SUSPECT} if first.kind != KILLS else {CRASH_SUSPECT}
        ):
            findings.add(
                "failed",
                f"document given up with {outcome['code']}",
                f"{who}: {outcome['message']}",
            )
        return
    if outcome["request_fingerprint"] != digests.request_fingerprint(
        who[0], first.document, first.text
    ):
        findings.add("body", "request fingerprint of another text", who)
    if outcome["words_in"] != words(first.text):
        findings.add(
            "body",
            "length of another text",
            f"{who}: {outcome['words_in']} for {words(first.text)} words",
        )
    if quotes(outcome) and first.marker not in (outcome["summary"] or ""):
        findings.add(
            "body",
            "answer about another document",
            f"{who}, which begins with {first.marker}: {outcome['summary']!r}",
        )


def quotes(outcome: dict) -> bool:
    """Whether whoever answered begins with the document's own words: all but the real model do."""
    model = outcome["model"] or {}
    return model.get("provider") != "precis" or model["name"] == "unique_answers"


def words(text: str) -> int:
    return sum(any(character.isalnum() for character in word) for word in text.split())


def doubled(findings: Findings, letters: list[Letter]) -> None:
    """That no letter is there twice."""
    for id_, count in Counter(one.id for one in letters).items():
        if count > 1:
            findings.add("duplicate", f"{count} dead letters of one record", id_)


def dead_letters(
    findings: Findings, facts: Facts, letters: list[Letter], by_identity, of_outcomes
) -> None:
    """Letters of what is no document, and that no letter is there without a reason."""
    nameless = Counter(one.value for one in letters if one.identity is None)
    for sent in facts.sent:
        if sent.document is None and nameless.pop(sent.value, 0) == 0:
            findings.add("lost", "undecodable record without a dead letter", sent.position)
    for value in nameless:
        findings.add(
            "stranger",
            "dead letter of a record that nobody published",
            value[:40] if value else value,
        )
    for one in (one for one in letters if one.identity is not None):
        codes = {
            outcome["code"]
            for outcome, _ in of_outcomes.get(one.identity, [])
            if outcome["status"] == "failed"
        }
        if one.identity not in by_identity:
            findings.add(
                "stranger", "dead letter of a document that nobody published", one.identity
            )
        elif one.code not in {"id_conflict", CRASH_SUSPECT} and one.code not in codes:
            findings.add(
                "failed", f"dead letter {one.code} of a document that did not fail", one.identity
            )


def stored(findings: Findings, facts: Facts, of_outcomes, by_identity) -> None:
    """Results and answers against the topic."""
    schema, seen = wire.schema("outcome"), {}
    for key, data in facts.objects.items():
        if not key.startswith("results/"):
            continue
        who = oracle.identity(schema.decode(data))
        if who in seen:
            findings.add("store", "two results of one document", who)
        seen[who] = data
    for who in seen.keys() - by_identity.keys():
        findings.add("stranger", "result of a document that nobody published", who)
    for who, outcomes in of_outcomes.items():
        if who not in seen:
            findings.add("store", "outcome without a result", who)
        for outcome, record in outcomes:
            if who in seen and record.value != seen[who]:
                differ = schema.decode(seen[who])["summary"]
                findings.add(
                    "store",
                    "outcome that differs from its result",
                    f"{who}: topic {outcome['summary']!r}, store {differ!r}",
                )
            if key := outcome["answer_key"]:
                answer = facts.objects.get(key)
                if answer is None:
                    findings.add("store", "outcome without its answer", f"{who}: {key}")
                elif wire.schema("answer").decode(answer)["text"] != outcome["summary"]:
                    findings.add("store", "outcome that differs from its answer", who)


def outside(findings: Findings, facts: Facts) -> None:
    """What left the network."""
    restricted = {
        one.marker
        for one in facts.sent
        if one.document and one.document["sensitivity"] == "restricted"
    }
    schema = wire.schema("ledger_attempt")
    attempts = [
        schema.decode(record.value) for record in facts.ledger if record.value[:10] == schema.prefix
    ]
    known = {attempt["attempt_id"]: attempt["purpose"] for attempt in attempts}
    for asked in facts.asked:
        said = f"{asked.marker}, attempt {asked.attempt_id!r}"
        if asked.marker in restricted:
            findings.add("leaked", f"restricted document at a provider, for {asked.purpose}", said)
        if asked.attempt_id not in known:
            findings.add("ledger", "request that is not in the ledger", said)
        elif known[asked.attempt_id] != asked.purpose:
            findings.add(
                "ledger", f"request for {asked.purpose} that the ledger has for another", said
            )
    for what, place, around in facts.spilled:
        said = "a provider's key" if what == "key" else "what a document says"
        findings.add("spilled", f"{said} where it may not be", f"{place}: {around!r}")
