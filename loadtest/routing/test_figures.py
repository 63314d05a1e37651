"""The verdict of `make load-routing` finds what it says that it finds."""

import copy
from collections import Counter
from decimal import Decimal

import corpus
import figures
import provider
import pytest

BUDGET = {"name": "tight", "tenant": "dunmore", "tier": "premium", "usd": 1.0}
READ, WRITTEN = 1_000, 50


def outcome(document: corpus.Document, tier: str, trail: tuple = ()) -> dict:
    cost = figures.price_of(tier, READ, WRITTEN) if tier != figures.INTERNAL else 0
    return {
        "status": "answered",
        "tier": tier,
        "cache": "none",
        "trail": list(trail),
        "summary": "It was agreed.",
        "cost": Decimal(cost).scaleb(-9),
    }


def request(document: corpus.Document) -> dict:
    user = f"<document-0a1b>\n{document.text}\n</document-0a1b>\n\nSummarize."
    return {
        "provider": "openai",
        "status": 200,
        "body": {
            "messages": [
                {"role": "system", "content": "Be short."},
                {"role": "user", "content": user},
            ]
        },
    }


@pytest.fixture
def observed() -> dict:
    """200 documents as a good run leaves them: 140 at the internal tier, 40 at the mid tier, 20 at the premium one."""
    documents = corpus.documents(200, seed=7)
    leaving = [document for document in documents if document.may_leave]
    places = (
        dict.fromkeys(documents, "gpu")
        | dict.fromkeys(leaving[:40], "mid")
        | dict.fromkeys(leaving[40:60], "premium")
    )
    refused = {"tier": "premium", "result": "refused", "code": "budget_exhausted"}
    ends = {document: outcome(document, tier) for document, tier in places.items()}
    # One started at the premium tier, which had no money for it.
    ends[leaving[0]] = outcome(leaving[0], "mid", (refused,))
    first = Counter(figures.first_tier(end) for end in ends.values())
    served = {
        figures.TIERS[tier]["model"]: {
            "requests": count,
            "input_tokens": count * READ,
            "output_tokens": count * WRITTEN,
        }
        for tier, count in (("mid", 40), ("premium", 20))
    }
    groups = [
        {
            "tier": tier,
            "tenant": "dunmore",
            "billed": f"{figures.price_of(tier, READ, WRITTEN) * count / 1e9:.9f}",
            "possibly_billed": "0",
            "input_tokens": count * READ,
            "output_tokens": count * WRITTEN,
        }
        for tier, count in (("mid", 40), ("premium", 20))
    ]
    billed = sum(figures.nanos(group["billed"]) for group in groups)
    planted = next(document for document in documents if not document.may_leave)
    return {
        "documents": documents,
        "outcomes": {(document.tenant, document.id, 0): end for document, end in ends.items()},
        "router": [
            ("precis_router_documents_total", {"tier": tier, "reason": "score"}, count)
            for tier, count in first.items()
        ],
        "workers": [],
        "spent": {
            "groups": groups,
            "total": {
                "billed": f"{billed / 1e9:.9f}",
                "possibly_billed": "0",
                "open": 0,
                "requests": 60,
            },
        },
        "served": served,
        "journal": [request(document) for document, tier in places.items() if tier != "gpu"],
        "planted": planted,
        "control": [request(planted)],
        "latencies": {document.id: 0.5 for document in documents},
        "burst": (100, 2.0),
        "budget": BUDGET,
    }


def problems(observed: dict) -> list[str]:
    return figures.of(**observed)["problems"]


def test_a_good_run_has_no_problem(observed):
    assert problems(observed) == []


def test_a_document_that_left_the_network_is_found(observed):
    observed["journal"][0] = observed["control"][0]
    assert any("must stay" in problem for problem in problems(observed))


def test_a_search_that_finds_nothing_is_found(observed):
    observed["control"] = observed["journal"][:1]
    assert any("on purpose" in problem for problem in problems(observed))
    observed["control"], observed["journal"] = (
        [request(observed["planted"])],
        observed["journal"][1:],
    )
    assert any("searched" in problem for problem in problems(observed)), (
        "a request that the journal does not have"
    )


def test_a_ledger_that_is_off_by_a_token_is_found(observed):
    observed["served"] = copy.deepcopy(observed["served"])
    observed["served"]["gpt-5.5"]["output_tokens"] += 1
    assert any("premium: ledger and provider differ" in problem for problem in problems(observed))


def test_outcomes_that_cost_another_sum_are_found(observed):
    end = observed["outcomes"][next(iter(observed["outcomes"]))]
    end["cost"] += Decimal("0.000000001")
    assert any("another sum" in problem for problem in problems(observed))


def test_an_overspent_budget_and_one_that_never_bound_are_found(observed):
    observed["budget"] = BUDGET | {"usd": 0.01}
    assert any("overspent" in problem for problem in problems(observed))
    for end in observed["outcomes"].values():
        end["trail"] = []
    assert any("no budget ever bound" in problem for problem in problems(observed))


def test_a_share_that_is_missed_needs_a_reason(observed):
    for end in observed["outcomes"].values():
        end["tier"], end["trail"] = "gpu", []
    assert any("premium got" in problem for problem in problems(observed))
    observed["router"].append(
        ("precis_router_mix_misses_total", {"tier": "premium", "reason": "sensitivity"}, 20)
    )
    assert not any("premium got" in problem for problem in problems(observed))


def test_dollars_are_read_to_the_last_digit():
    assert [figures.nanos(text) for text in ("0.1", "12", "3.000000001")] == [
        100_000_000,
        12_000_000_000,
        3_000_000_001,
    ]


def test_providers_spoil_the_stated_share_of_answers():
    texts = [
        f"The board met on Monday. It agreed on the plans. Number {number}."
        for number in range(4_000)
    ]
    for model, errors in provider.ERRORS.items():
        replies = [provider.answer(model, text, 60) for text in texts]
        assert replies == [provider.answer(model, text, 60) for text in texts]
        wrong = sum(reply.text != text for reply, text in zip(replies, texts)) / len(texts)
        assert abs(wrong - sum(errors.values())) < 0.01, (model, wrong)
