"""The oracle notices each way in which evaluations can break the guarantee, and nothing where it holds."""

from dataclasses import replace
from decimal import Decimal
from itertools import count

import digests
import evaluations
import pytest
import verdict
import wire
from kafka import Record
from providers import Asked
from publisher import TENANT
from test_verdict import document, filled, outcome, record
from verdict import Facts


def first(rounds: set[int], begin: int, **fields):
    """The first document from this number on whose summary is judged in these rounds."""
    documents = (document(number, **fields) for number in count(begin))
    return next(sent for sent in documents if chosen(sent).keys() == rounds)


def chosen(sent) -> dict[int, float]:
    return evaluations.chosen(wire.schema("outcome").decode(outcome(sent)))


def evaluation(sent, round_: int = 1, **fields) -> bytes:
    of = wire.schema("outcome").decode(outcome(sent))
    known = {name: of[name] for name in evaluations.REPEATED} | {
        "tenant": TENANT,
        "document_id": of["document_id"],
        "revision": 0,
        "round": round_,
        "status": "judged",
        "scores": dict.fromkeys(("faithfulness", "coverage", "coherence", "conciseness"), 5)
        | {"score": 1.0},
        "judge_tier": "api",
        "probability": chosen(sent).get(round_, 0.5),
        "outcome_status": of["status"],
        "summary_sha256": digests.sha256(of["summary"].encode()),
        "cost": Decimal(0),
        "settled_at": 3,
    }
    return filled("evaluation", known | fields)


def failed(sent, code: str, **fields) -> bytes:
    tier = {"judge_tier": None} if code == "no_judge" else {}
    return evaluation(sent, status="failed", code=code, scores=None, **tier, **fields)


def refused(code: str) -> dict:
    return {"tier": "api", "result": "refused", "code": code, "policy_digest": "", "at": 1}


ONCE, TWICE, NEVER = first({1}, 10), first({1, 2}, 10), first(set(), 10)
INSIDE = first({1}, 100, sensitivity="restricted")
SENT = [ONCE, TWICE, NEVER, INSIDE]
JUDGED = [evaluation(ONCE), evaluation(TWICE), evaluation(TWICE, 2), failed(INSIDE, "no_judge")]


def facts_of(judged: list[bytes], **changes) -> Facts:
    """The facts where this is what judges said, in topic and store alike."""
    facts = Facts(
        sent=SENT,
        summaries=[record(outcome(sent)) for sent in SENT],
        letters=[],
        objects={evaluations.object_key(evaluations.read(value)[0]): value for value in judged},
        evaluations=[record(value, "evaluations") for value in judged],
        judges=("api",),
    )
    return replace(facts, **changes)


def letter(sent, code: str) -> Record:
    """A dead letter of the request to judge a summary."""
    known = {
        "tenant": TENANT,
        "document_id": sent.document["document_id"],
        "revision": 0,
        "document": sent.value,
        "evaluation": {"round": 1, "probability": 0.3},
        "origin": {"topic": "", "partition": 0, "offset": 0},
        "routed_at": 1,
        "decision": filled_decision(),
    }
    dead = {
        "id": "api-worker/work.api/0/1",
        "code": code,
        "value": filled("routed_document", known),
        "topic": "work.api",
        "partition": 0,
        "offset": 1,
        "failed_at": 1,
    }
    return record(filled("dead_letter", dead), "dead-letters")


def filled_decision() -> dict:
    return {
        "eligible": [],
        "excluded": [],
        "features": {},
        "score": 0.0,
        "thresholds": {},
        "shadow_price": 0.0,
        "chosen": "",
        "reason": "",
        "policy_digest": "",
    }


def test_finds_nothing_where_everything_holds():
    shown = Asked(ONCE.marker, "a", True, f"{ONCE.marker} is short.")
    assert evaluations.judge(facts_of(JUDGED, asked=[shown])) == []


def test_a_place_is_the_one_that_the_services_compute():
    """The place that `sampling/tests.rs` keeps."""
    assert evaluations.place("judge 1", ("acme", "report-7", 3)) == 0.39634061574116275


def test_about_as_many_are_chosen_as_the_rates_say():
    rounds = [chosen(document(number)) for number in range(2_000)]
    firsts, seconds = (sum(round_ in each for each in rounds) for round_ in (1, 2))
    assert 540 < firsts < 660 and 140 < seconds < 220


def test_an_uncertain_summary_is_chosen_at_its_own_rate():
    def probability(**fields):
        return evaluations.chosen(wire.schema("outcome").decode(outcome(ONCE, **fields)))[1]

    assert probability() == 0.3 == probability(quality_index=0.7)
    assert probability(status="flagged") == 0.5 == probability(quality_index=0.6)


def test_a_run_waits_for_what_was_chosen():
    facts = facts_of(JUDGED)
    awaited = evaluations.Awaited()
    awaited.look(facts.summaries[:2], [])
    assert awaited.unfinished() == 3
    awaited.look(facts.summaries, facts.evaluations[:2])
    assert awaited.unfinished() == 2
    awaited.look(facts.summaries, facts.evaluations)
    assert awaited.unfinished() == 0


def test_an_evaluation_that_fails_is_no_end_of_its_document():
    """Its dead letter counts for the evaluation alone."""
    letters = [letter(ONCE, "provider_error")]
    facts = facts_of([failed(ONCE, "provider_error"), *JUDGED[1:]], letters=letters)
    assert evaluations.judge(facts) == []
    ends = verdict.Ends()
    ends.look([], letters)
    assert ends.unfinished([ONCE]) == 1
    assert verdict.letter(letters[0]).judged == ((TENANT, ONCE.document["document_id"], 0), 1)


def test_a_judge_may_fail_as_its_provider_does():
    for one in (
        failed(ONCE, "judge_unreadable"),
        failed(ONCE, "provider_error"),
        failed(ONCE, "no_judge", trail=[refused("provider_down")]),
    ):
        assert evaluations.judge(facts_of([one, *JUDGED[1:]])) == []


def test_ends_are_counted_by_code():
    records = facts_of([*JUDGED[:3], failed(INSIDE, "no_judge")]).evaluations
    assert evaluations.ended(records) == {"judged": 3, "no_judge": 1}
    assert evaluations.counted(records)["second opinions"] == 1


OTHER = evaluation(ONCE, remark="another")


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        pytest.param(facts_of(JUDGED[1:]), "without an evaluation", id="lost"),
        pytest.param(facts_of([*JUDGED[:2], JUDGED[3]]), "without an evaluation", id="lost second"),
        pytest.param(
            facts_of(JUDGED, evaluations=[record(value) for value in [*JUDGED, JUDGED[0]]]),
            "2 evaluations of one summary",
            id="twice",
        ),
        pytest.param(facts_of([*JUDGED, evaluation(NEVER)]), "was not chosen", id="not chosen"),
        pytest.param(
            facts_of([*JUDGED, evaluation(ONCE, 2)]), "was not chosen", id="second not chosen"
        ),
        pytest.param(
            facts_of(JUDGED, evaluations=[record(value) for value in [OTHER, *JUDGED[1:]]]),
            "differs from its object",
            id="bytes",
        ),
        pytest.param(facts_of(JUDGED, objects={}), "without its object", id="no object"),
        pytest.param(
            facts_of(JUDGED, objects=facts_of([*JUDGED, evaluation(NEVER)]).objects),
            "not on the topic",
            id="object alone",
        ),
        pytest.param(
            facts_of([evaluation(ONCE, probability=0.5), *JUDGED[1:]]),
            "probability of another",
            id="probability",
        ),
        pytest.param(
            facts_of([evaluation(ONCE, summary_sha256="0"), *JUDGED[1:]]),
            "summary_sha256 of another",
            id="another summary",
        ),
        pytest.param(
            facts_of([evaluation(ONCE, request_digest="0"), *JUDGED[1:]]),
            "request_digest of another",
            id="another request",
        ),
        pytest.param(
            facts_of([evaluation(ONCE, tier="gpu"), *JUDGED[1:]]),
            "tier of another",
            id="another tier",
        ),
        pytest.param(
            facts_of([failed(ONCE, "store_unavailable"), *JUDGED[1:]]),
            "given up with store_unavailable",
            id="given up",
        ),
        pytest.param(
            facts_of([failed(ONCE, "no_judge"), *JUDGED[1:]]), "where there is one", id="no judge"
        ),
        pytest.param(
            facts_of([failed(ONCE, "no_judge", trail=[refused("out_of_money")]), *JUDGED[1:]]),
            "where there is one",
            id="refused without a cause",
        ),
        pytest.param(
            facts_of([evaluation(ONCE, judge_tier="gpu"), *JUDGED[1:]]),
            "which is no judge",
            id="no judge of the policy",
        ),
        pytest.param(
            facts_of([evaluation(ONCE, scores=None), *JUDGED[1:]]),
            "not as what is judged",
            id="judged without scores",
        ),
        pytest.param(
            facts_of([*JUDGED[:3], evaluation(INSIDE)]), "to a judge outside", id="restricted"
        ),
        pytest.param(
            facts_of([*JUDGED[:3], failed(INSIDE, "no_judge", trail=[refused("provider_down")])]),
            "to a judge outside",
            id="restricted and refused",
        ),
        pytest.param(
            facts_of(JUDGED, asked=[Asked(ONCE.marker, "a", True, "Another summary.")]),
            "shown another summary",
            id="shown another summary",
        ),
        pytest.param(
            facts_of(JUDGED, letters=[letter(ONCE, "provider_error")]),
            "did not fail so",
            id="letter of a judged one",
        ),
    ],
)
def test_notices(facts, said):
    found = evaluations.judge(facts)
    assert any(said in finding.what for finding in found), found


def test_a_restricted_summary_at_the_provider_is_a_leak():
    shown = Asked(INSIDE.marker, "a", False, f"{INSIDE.marker} is short.")
    found = verdict.judge(facts_of(JUDGED, asked=[shown]))
    assert any(finding.name == "leaked" and "for evaluation" in finding.what for finding in found)
