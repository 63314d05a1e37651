"""What came of a routed load: figures, and what is wrong with them.

Everything is worked out from what an outsider sees: outcomes, metrics, `precis spend`, and the providers' own journal and count.
"""

import json
import re
import statistics
import tomllib
from collections import Counter
from pathlib import Path

import corpus

ROOT = Path(__file__).resolve().parents[2]
TIERS = {
    tier["name"]: tier
    for tier in tomllib.loads((ROOT / "infra/policy/70-20-10.toml").read_text())["tiers"]
}
INTERNAL, MID, PREMIUM = TIERS
# Dollars a million tokens; a thousand times that is billionths of a dollar a token, in which the ledger counts.
PRICES = {
    price["model"]: (int(float(price["input"]) * 1000), int(float(price["output"]) * 1000))
    for price in tomllib.loads((ROOT / "infra/prices.toml").read_text())["prices"]
}
# What the mix holds over 2,000 documents of a router (services/shared/policy/src/mix.rs).
MIX_POINTS = 0.02
MARKER = re.compile(r"\bzq[a-z]{12}\b")
Series = list[tuple[str, dict[str, str], float]]


def nanos(dollars: str) -> int:
    whole, _, part = dollars.partition(".")
    return int(whole) * 10**9 + int(part.ljust(9, "0")[:9])


def dollars(amount: int) -> str:
    return f"${amount / 1e9:,.4f}"


def price_of(tier: str, read: int, written: int) -> int:
    """Billionths of a dollar."""
    per_read, per_written = PRICES[TIERS[tier]["model"]]
    return read * per_read + written * per_written


def counted(series: Series, name: str, *by: str) -> dict:
    """A counter added up over everything but the labels `by`."""
    found: Counter = Counter()
    for series_name, labels, value in series:
        if series_name == name:
            found[tuple(labels[label] for label in by) if len(by) > 1 else labels[by[0]]] += int(
                value
            )
    return dict(found)


def first_tier(outcome: dict) -> str | None:
    """Where a document started; `None` where an earlier answer served it or no tier might have it."""
    if outcome["trail"]:
        return outcome["trail"][0]["tier"]
    return outcome["tier"] if outcome["cache"] == "none" else None


def of(
    *,
    documents: list[corpus.Document],
    outcomes: dict,
    router: Series,
    workers: Series,
    spent: dict,
    served: dict,
    journal: list[dict],
    planted: corpus.Document,
    control: list[dict],
    latencies: dict[str, float],
    burst: tuple[int, float],
    budget: dict,
) -> dict:
    ends = {document.id: outcomes[document.tenant, document.id, 0] for document in documents}
    found = {
        "documents": len(documents),
        "repeats": sum(document.repeat for document in documents),
        "may_leave": sum(document.may_leave for document in documents),
        "from_cache": sum(end["cache"] != "none" for end in ends.values()),
        "statuses": Counter(end["status"] for end in ends.values()),
        "mix": mix(documents, ends, router),
        "tiers": tiers(ends, workers),
        "money": money(documents, ends, spent, served, journal),
        "latency": latency(ends, latencies),
        "burst": {"documents": burst[0], "seconds": burst[1], "per_second": burst[0] / burst[1]},
        "residency": residency(documents, journal, served, planted, control),
        "budget": budget_of(budget, spent, ends),
    }
    return found | {"problems": problems(found)}


def mix(documents: list[corpus.Document], ends: dict[str, dict], router: Series) -> dict:
    """First assignments beside the target, of all that were assigned and of those that might leave; and why another tier than the score asked for was taken."""
    first = {document: tier for document in documents if (tier := first_tier(ends[document.id]))}
    leaving = [tier for document, tier in first.items() if document.may_leave]
    missed, got = (
        counted(router, "precis_router_mix_misses_total", "tier", "reason"),
        Counter(first.values()),
    )
    chosen = counted(router, "precis_router_documents_total", "tier", "reason")
    rows = {}
    for tier in TIERS:
        reasons = {reason: count for (scored, reason), count in missed.items() if scored == tier}
        by_router = sum(
            count
            for (to, reason), count in chosen.items()
            if to == tier and reason not in ("escalation", "refusal")
        )
        rows[tier] = {
            "target": TIERS[tier]["share"],
            "documents": got[tier],
            "share": got[tier] / len(first),
            "counted_by_routers": by_router,
            "share_of_those_that_may_leave": leaving.count(tier) / len(leaving),
            "score_overruled": reasons,
        }
    return {"assigned": len(first), "may_leave": len(leaving), "tiers": rows}


def tiers(ends: dict[str, dict], workers: Series) -> dict:
    answers, failed = (
        counted(workers, "precis_answers_total", "tier", "result"),
        counted(workers, "precis_check_failures_total", "tier", "check"),
    )
    rows = {}
    for tier in TIERS:
        trials = [trial for end in ends.values() for trial in end["trail"] if trial["tier"] == tier]
        last = Counter(
            end["status"] for end in ends.values() if end["tier"] == tier and end["cache"] == "none"
        )
        # Where the best of several failed answers is another tier's, the document was flagged all the same.
        passed_on = sum(
            1
            for end in ends.values()
            for at, trial in enumerate(end["trail"])
            if trial["tier"] == tier
            and trial["result"] == "failed_checks"
            and (at + 1 < len(end["trail"]) or end["status"] == "answered")
        )
        rows[tier] = {
            "accepted": answers.get((tier, "accepted"), 0),
            "rejected": answers.get((tier, "rejected"), 0),
            "escalated": passed_on,
            "refused": Counter(trial["code"] for trial in trials if trial["result"] == "refused"),
            "answered": last["answered"],
            "flagged": last["flagged"],
            "failed_checks": {
                check: count for (where, check), count in sorted(failed.items()) if where == tier
            },
        }
    return rows


def money(
    documents: list[corpus.Document],
    ends: dict[str, dict],
    spent: dict,
    served: dict,
    journal: list[dict],
) -> dict:
    """What was billed, by the ledger and as the providers counted it; and what the same texts would have cost at one tier alone."""
    rows = {}
    for tier in (MID, PREMIUM):
        ledger = [group for group in spent["groups"] if group["tier"] == tier]
        count = served.get(
            TIERS[tier]["model"], {"requests": 0, "input_tokens": 0, "output_tokens": 0}
        )
        rows[tier] = {
            "requests": count["requests"],
            "input_tokens": count["input_tokens"],
            "output_tokens": count["output_tokens"],
            "provider_nanos": price_of(tier, count["input_tokens"], count["output_tokens"]),
            "ledger_nanos": sum(nanos(group["billed"]) for group in ledger),
            "ledger_tokens": [
                sum(group[kind] for group in ledger) for kind in ("input_tokens", "output_tokens")
            ],
        }
    around = prompt_around(documents, journal)
    alone = Counter()
    for document in documents:
        end = ends[document.id]
        if end["cache"] == "none":
            # As llmock counts: four characters a token, message by message.
            read = sum(
                len(text) // 4
                for text in (around["system"], around[document.fields["language"]] + document.text)
            )
            for tier in (MID, PREMIUM):
                alone[tier] += price_of(tier, read, len(end["summary"] or "") // 4)
    return {
        "tiers": rows,
        "open": spent["total"]["open"],
        "lost": spent["total"]["requests"] - len(journal),
        "possibly_billed_nanos": nanos(spent["total"]["possibly_billed"]),
        "ledger_nanos": nanos(spent["total"]["billed"]),
        "provider_nanos": sum(row["provider_nanos"] for row in rows.values()),
        "outcomes_nanos": sum(cost_of(end) for end in ends.values()),
        "repeats_nanos": sum(
            cost_of(ends[document.id]) for document in documents if document.repeat
        ),
        "all_mid_nanos": alone[MID],
        "all_premium_nanos": alone[PREMIUM],
    }


def cost_of(end: dict) -> int:
    """What an outcome says that its document cost. A repeat that meets an answer which failed its checks says that answer's cost once more."""
    return int(end["cost"].scaleb(9))


def prompt_around(documents: list[corpus.Document], journal: list[dict]) -> dict[str, str]:
    """What the api-worker sends besides the text: the system's message, and what stands around a text of each language."""
    by_marker = {document.marker: document for document in documents}
    around = {}
    for body in (request["body"] for request in journal if request["body"]):
        user = body["messages"][-1]["content"]
        document = by_marker[MARKER.search(user)[0]]
        around |= {
            "system": body.get("system") or body["messages"][0]["content"],
            document.fields["language"]: user.replace(document.text, ""),
        }
    return around


def latency(ends: dict[str, dict], latencies: dict[str, float]) -> dict:
    """Seconds from a document's publication to a reader of committed outcomes, by the way that it took."""
    ways: dict[str, list[float]] = {"all": list(latencies.values())}
    for document_id, seconds in latencies.items():
        end = ends[document_id]
        way = (
            "earlier answer"
            if end["cache"] != "none"
            else "more than one tier"
            if end["trail"]
            else str(end["tier"])
        )
        ways.setdefault(way, []).append(seconds)
    quantiles = {
        way: statistics.quantiles(values, n=100, method="inclusive")
        for way, values in ways.items()
        if len(values) > 1
    }
    return {
        way: {"documents": len(ways[way]), "p50": cut[49], "p99": cut[98]}
        for way, cut in quantiles.items()
    }


def residency(
    documents: list[corpus.Document],
    journal: list[dict],
    served: dict,
    planted: corpus.Document,
    control: list[dict],
) -> dict:
    """Which of the documents that must stay are in a request to a provider, and whether all requests were there to be searched."""
    must_stay = {document.marker for document in documents if not document.may_leave}
    left = lambda requests: sorted(
        must_stay
        & {word for request in requests for word in MARKER.findall(json.dumps(request["body"]))}
    )
    return {
        "must_stay": len(must_stay),
        "requests": len(journal),
        "answered": sum(request["status"] == 200 for request in journal),
        "served": sum(count["requests"] for count in served.values()),
        "unreadable": sum(not request["body"] for request in journal),
        "turned_away": Counter(
            str(request["status"]) for request in journal if request["status"] != 200
        ),
        "violations": left(journal),
        "control_found": left(control) == [planted.marker],
    }


def budget_of(budget: dict, spent: dict, ends: dict[str, dict]) -> dict:
    groups = [
        group
        for group in spent["groups"]
        if group["tier"] == budget["tier"] and group["tenant"] == budget["tenant"]
    ]
    refused = sum(
        trial["code"] == "budget_exhausted" for end in ends.values() for trial in end["trail"]
    )
    limit, billed = (
        round(budget["usd"] * 1e9),
        sum(nanos(group["billed"]) + nanos(group["possibly_billed"]) for group in groups),
    )
    return budget | {
        "limit_nanos": limit,
        "spent_nanos": billed,
        "overshoot_nanos": max(0, billed - limit),
        "refusals": refused,
    }


def problems(found: dict) -> list[str]:
    money, residency, budget, mix = (
        found[name] for name in ("money", "residency", "budget", "mix")
    )
    wrong = []
    if residency["violations"]:
        wrong.append(f"documents that must stay were sent out: {residency['violations'][:5]}")
    if not residency["control_found"]:
        wrong.append("the search did not find the document that was sent out on purpose")
    if residency["unreadable"] or residency["answered"] != residency["served"]:
        wrong.append(f"not every request could be searched: {residency}")
    for tier, row in money["tiers"].items():
        if row["ledger_nanos"] != row["provider_nanos"] or row["ledger_tokens"] != [
            row["input_tokens"],
            row["output_tokens"],
        ]:
            wrong.append(f"{tier}: ledger and provider differ: {row}")
    if money["open"]:
        wrong.append(f"the ledger has open requests: {money}")
    if not 0 <= money["outcomes_nanos"] - money["ledger_nanos"] <= money["repeats_nanos"]:
        wrong.append(f"the outcomes say that they cost another sum than the ledger: {money}")
    if budget["overshoot_nanos"]:
        wrong.append(f"a budget was overspent: {budget}")
    if not budget["refusals"]:
        wrong.append(f"no budget ever bound: {budget}")
    for tier, row in mix["tiers"].items():
        short, missed = (
            (row["target"] - row["share"]) * mix["assigned"],
            sum(row["score_overruled"].values()),
        )
        if short > MIX_POINTS * mix["assigned"] and missed < short:
            wrong.append(
                f"{tier} got {row['share']:.1%} instead of {row['target']:.0%}, and the metrics tell only {missed} reasons"
            )
        if row["documents"] != row["counted_by_routers"]:
            wrong.append(
                f"{tier}: {row['documents']} documents started there, the routers counted {row['counted_by_routers']}"
            )
    return wrong


def text(found: dict) -> str:
    """The figures for people."""
    mix, money, residency, budget, options = (
        found[name] for name in ("mix", "money", "residency", "budget", "options")
    )
    told = lambda counts: (
        ", ".join(
            f"{name} {count:,}"
            for name, count in sorted(counts.items(), key=lambda entry: -entry[1])
        )
        or "none"
    )
    lines = [
        f"{found['documents']:,} documents, seed {options['seed']}, {options['profile']} build, {found['cores']} cores for everything, load {found['load_at_start']:.1f} at start, "
        f"{found['seconds']:.0f} s in all",
        f"{found['may_leave']:,} may leave the network; {found['from_cache']:,} were served from an earlier answer "
        f"({found['repeats']:,} repeat a text); outcomes: {told(found['statuses'])}",
        "",
        f"First assignments, {mix['assigned']:,} documents, {mix['may_leave']:,} of which may leave",
        f"  {'tier':8} {'target':>7} {'share':>7} {'of those that may leave':>24}  score overruled by",
    ]
    lines += [
        f"  {tier:8} {row['target']:7.0%} {row['share']:7.1%} {row['share_of_those_that_may_leave']:24.1%}  {told(row['score_overruled'])}"
        for tier, row in mix["tiers"].items()
    ]
    lines += [
        "",
        "Answers (simulated: beginnings of the documents, some spoilt at stated rates; the checks are real)",
        f"  {'tier':8} {'given':>7} {'accepted':>9} {'escalated':>10} {'answered':>9} {'flagged':>8}  failed checks; refused",
    ]
    lines += [
        f"  {tier:8} {row['accepted'] + row['rejected']:7,} {row['accepted']:9,} {row['escalated']:10,} {row['answered']:9,} {row['flagged']:8,}  "
        f"{told(row['failed_checks'])}; {told(row['refused'])}"
        for tier, row in found["tiers"].items()
    ]
    lines += [
        "",
        "Money",
        f"  {'tier':8} {'requests':>9} {'tokens read':>12} {'written':>9} {'ledger':>12} {'provider':>12} {'difference':>11}",
    ]
    lines += [
        f"  {tier:8} {row['requests']:9,} {row['input_tokens']:12,} {row['output_tokens']:9,} {dollars(row['ledger_nanos']):>12} {dollars(row['provider_nanos']):>12} "
        f"{dollars(row['ledger_nanos'] - row['provider_nanos']):>11}"
        for tier, row in money["tiers"].items()
    ]
    saved = lambda alone: (
        f"{dollars(alone)}, {abs(1 - money['ledger_nanos'] / alone):.1%} {'saved' if money['ledger_nanos'] <= alone else 'more'}"
    )
    lines += [
        f"  billed in all {dollars(money['ledger_nanos'])} (possibly beyond that {dollars(money['possibly_billed_nanos'])}, {money['lost']:,} requests that never arrived); the same texts all at {PREMIUM} {saved(money['all_premium_nanos'])}; all at {MID} {saved(money['all_mid_nanos'])}",
        "  (one answer each and no repeats in those two; your own machine is not counted)",
        f"  the outcomes say {dollars(money['outcomes_nanos'])}: equal documents that meet a stored answer which failed each say its cost",
        f"  budget {budget['name']}: limit {dollars(budget['limit_nanos'])}, spent {dollars(budget['spent_nanos'])}, overshoot {dollars(budget['overshoot_nanos'])}, "
        f"{budget['refusals']:,} refusals",
        "",
        f"Residency: {len(residency['violations'])} violations; {residency['must_stay']:,} documents that must stay looked for in {residency['requests']:,} requests "
        f"(turned away: {told(residency['turned_away'])}); control, one sent on purpose: {'found' if residency['control_found'] else 'NOT FOUND'}",
        "",
        f"Latency at {options['rate']:g} documents a second, publication to committed outcome, seconds",
        f"  {'way':20} {'documents':>9} {'p50':>6} {'p99':>6}",
    ]
    lines += [
        f"  {way:20} {row['documents']:9,} {row['p50']:6.2f} {row['p99']:6.2f}"
        for way, row in found["latency"].items()
    ]
    burst = found["burst"]
    lines += [
        "",
        f"Throughput: {burst['documents']:,} documents published at once, {burst['per_second']:.0f} a second until the last outcome ({burst['seconds']:.1f} s)",
    ]
    return "\n".join(lines) + "\n"
