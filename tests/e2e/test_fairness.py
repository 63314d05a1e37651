"""A tenant with many documents, and another with few, before one slow tier."""

from collections import Counter
from dataclasses import replace

import notes
from deployment import API, PERMISSIVE, TENANT
from oracle import first_outcomes, settled

OTHER = "other"
# The flood is half a minute of work for the slow tier: it outlasts what is measured on any machine.
MANY, FEW = 500, 10
MAX_BACKLOG = 60
# What the router has in process at once may have been let in although others fill the topic before it comes there.
IN_PROCESS = 64
# The stand-in takes so long for an answer, and is asked for so many at once.
ANSWER_SECONDS, AT_ONCE = 0.5, 8


def test_flood_delays_another_tenant_within_the_bound(kafka_deployment, llmock):
    """A flood of one tenant delays another's documents by no more than the stated bound."""
    deployment = kafka_deployment(
        replace(API, max_backlog=MAX_BACKLOG), llmock=llmock, checks=PERMISSIVE
    )
    deployment.tenants = (TENANT, OTHER)
    settings = deployment.service_settings()
    settings["api_worker"]["openai"]["max_concurrency"] = AT_ONCE
    deployment.service_settings = lambda: (
        settings | {"router": {"stage": {"max_in_flight": IN_PROCESS}}}
    )
    llmock.behave({"type": "delay", "seconds": ANSWER_SECONDS, "times": None})
    router = deployment.start("precis-router")
    deployment.start("precis-api-worker")
    published = deployment.publish([notes.note(number) for number in range(MANY)])
    summaries = deployment.kafka.follow("summaries")
    summaries.until(settled(20), "the first outcomes of the flood")
    assert router.metric("precis_router_waiting", tier="api") > 0, (
        "nothing waits: there is no flood"
    )
    published |= deployment.publish(
        [notes.note(number) for number in range(MANY, MANY + FEW)], tenant=OTHER
    )
    # Counted from here: what ends while the few are still being published has not delayed them.
    before = done(summaries.to_the_end())
    summaries.until(
        lambda records: done(records)[OTHER] == FEW, "the few documents of the other tenant"
    )
    between = done(summaries.records)[TENANT] - before[TENANT]
    left = MANY - before[TENANT] - between
    assert between <= MAX_BACKLOG + IN_PROCESS + FEW, (
        f"{between} documents of the flood came before the other tenant's {FEW}"
    )
    assert left > between, f"the flood was over too soon to tell: {left} documents were left"
    llmock.answers()
    summaries.until(settled(MANY + FEW), "the rest of the flood")
    deployment.assert_settled(published)


def done(records) -> Counter:
    """How many documents of each tenant have their outcome."""
    return Counter(tenant for tenant, _, _ in first_outcomes(records))
