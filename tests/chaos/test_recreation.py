"""What is excused when a topic is deleted and made again, and what is not."""

from dataclasses import replace

import oracle
import pytest
import recreation
import wire
from recreation import TENANT
from test_verdict import GOOD, ONE, outcome, record

OLD, NEW = ((TENANT, f"remade/{number}", 0) for number in (1, 2))


def settled(who: oracle.Identity, repeat: bool = False):
    return record(outcome(ONE, tenant=who[0], document_id=who[1]), repeat=repeat)


def names(summaries) -> list[str]:
    return sorted(finding.name for finding in recreation.judge({NEW}, {OLD}, summaries))


@pytest.mark.parametrize(
    "summaries",
    [
        [settled(NEW)],
        [settled(NEW), settled(OLD)],
        [settled(NEW), settled(NEW, repeat=True)],
        [settled(NEW), *GOOD.summaries],
    ],
)
def test_what_was_deleted_unread_is_excused(summaries):
    assert names(summaries) == []


def test_what_is_in_the_new_topic_has_one_outcome():
    assert names([settled(OLD)]) == ["lost"]
    assert names([settled(NEW, repeat=True)]) == ["lost"]
    assert names([settled(NEW), settled(NEW)]) == ["duplicate"]


def test_what_was_deleted_is_not_settled_twice_either():
    assert names([settled(NEW), settled(OLD), settled(OLD)]) == ["duplicate"]
    assert names([settled(NEW), settled((TENANT, "remade/3", 0))]) == ["stranger"]


def test_the_other_tenants_are_judged_without_this_one():
    ours = settled(NEW)
    facts = replace(
        GOOD,
        summaries=[*GOOD.summaries, ours],
        objects=GOOD.objects | {f"results/{TENANT}/x": ours.value},
    )
    assert recreation.without_ours(facts) == GOOD
    assert wire.schema("outcome").decode(ours.value)["tenant"] == TENANT
