"""Bad input on the topics that Précis alone writes: without a proof that Précis wrote it, and of somebody who has the key."""

from decimal import Decimal

import digests
import wire
from poison_kinds import (
    ANSWER,
    NO_TIER,
    TENANT,
    TOPIC,
    End,
    Sent,
    dead,
    document,
    encode,
    failed,
    kind,
    raw,
)

ESCALATIONS = "escalations"
RETURNS = "returns"
WORK = "work.api"


def routed(name: str, **fields) -> dict:
    """Work as the router writes it, with an identity that nobody published."""
    value = fields.setdefault("document", encode(document(name)))
    known = value.startswith(wire.schema("document").prefix)
    inner = wire.schema("document").decode(value) if known else document(name)
    decision = {
        "eligible": ["api"],
        "score": 0.5,
        "chosen": "api",
        "reason": "score",
        "policy_digest": "0" * 64,
    }
    return {
        "tenant": TENANT,
        "document_id": inner["document_id"],
        "revision": 0,
        "origin": {"topic": TOPIC, "partition": 0, "offset": 10**12},
        "request_digest": digests.request_digest(inner),
        "request_fingerprint": digests.request_fingerprint(TENANT, inner, inner["text"]),
        "tier": "api",
        "decision": decision,
        "trail": [],
        "policy_digest": "0" * 64,
        "routed_at": 0,
    } | fields


def work(name: str, end: End, proved: bool = True, **fields) -> None:
    value = wire.schema("routed_document").encode(routed(name, **fields))
    ids = [(f"poison-{name}", 0)] if end.status else []
    kind(name, end, Sent(value, b"k", topic=WORK, proved=proved), ids=ids)


def escalation(name: str, end: End, trial: dict, proved: bool = True, **fields) -> None:
    told = {
        "tier": "api",
        "result": "refused",
        "code": "made_up",
        "policy_digest": "0" * 64,
        "at": 0,
    } | trial
    value = wire.schema("escalation").encode(
        {"routed": wire.schema("routed_document").encode(routed(name, **fields)), "trial": told}
    )
    ids = [(f"poison-{name}", 0)] if end.status else []
    kind(name, end, Sent(value, b"k", topic=ESCALATIONS, proved=proved), ids=ids)


def inner_topics() -> None:
    """Records on Précis' own topics, which ACLs keep publishers from; a mistake there must not stop anybody either. Without a
    proof that Précis wrote them they end as dead letters, whatever they are; those with one are of somebody who has the key."""
    for place, topic in {"work": WORK, "escalations": ESCALATIONS}.items():
        for name, code, value in (
            ("garbage", "not_single_object", b"garbage"),
            ("null", "empty_record", None),
            ("document", "wrong_record", encode(document(f"document_on_{place}"))),
        ):
            raw(f"{name}_on_{place}", "unproved", value, topic)
            raw(f"proved_{name}_on_{place}", code, value, topic, proved=True)
    raw("garbage_on_returns", "tenant_invalid", b"garbage", RETURNS)
    work("work_without_proof", dead("unproved"), proved=False)
    work("work_of_another_request", dead("request_mismatch"), request_fingerprint="0" * 64)
    work("work_of_another_digest", dead("request_mismatch"), request_digest="0" * 64)
    work("work_of_another_tenant", dead("request_mismatch"), tenant="other")
    escalation("escalation_without_proof", dead("unproved"), {}, proved=False)
    inside = wire.schema("escalation").encode(
        {
            "routed": b"garbage",
            "trial": {
                "tier": "api",
                "result": "refused",
                "code": "made_up",
                "policy_digest": "",
                "at": 0,
            },
        }
    )
    raw("escalation_of_garbage", "not_single_object", inside, ESCALATIONS, proved=True)
    work("work_with_garbage_inside", failed("not_single_object"), document=b"garbage")
    work("work_of_an_unknown_policy", ANSWER)
    work("work_of_an_unknown_tier", ANSWER, tier="../nowhere")
    work(
        "work_that_is_restricted",
        NO_TIER,
        document=encode(document("work_that_is_restricted", sensitivity=None)),
    )
    work(
        "work_of_no_number",
        ANSWER,
        decision={
            "eligible": [],
            "score": float("nan"),
            "chosen": "",
            "reason": "",
            "policy_digest": "",
            "features": {"length": float("inf")},
        },
    )
    escalation("escalation_of_an_unknown_tier", ANSWER, {"tier": "nowhere"})
    escalation(
        "escalation_with_garbage_inside", failed("not_single_object"), {}, document=b"garbage"
    )
    escalation(
        "escalation_with_an_answer_elsewhere",
        End("failed", "no_eligible_tier"),
        {
            "result": "failed_checks",
            "answer_key": "cache/other/00/x.answer.y",
            "failed_checks": ["empty"],
        },
    )
    escalation(
        "escalation_with_an_answer_of_no_key",
        End("failed", "no_eligible_tier"),
        {"result": "failed_checks", "answer_key": "../../etc/passwd", "failed_checks": ["empty"]},
    )
    stolen = "cache/other/aa/aa.answer.aa"
    value = wire.schema("escalation").encode(
        {
            "routed": wire.schema("routed_document").encode(
                routed("escalation_with_an_answer_of_another_tenant")
            ),
            "trial": {
                "tier": "api",
                "result": "failed_checks",
                "code": "empty",
                "answer_key": stolen,
                "failed_checks": ["empty"],
                "policy_digest": "0" * 64,
                "at": 0,
            },
        }
    )
    kind(
        "escalation_with_an_answer_of_another_tenant",
        End("failed", "no_eligible_tier"),
        Sent(value, b"k", topic=ESCALATIONS, proved=True),
        ids=[("poison-escalation_with_an_answer_of_another_tenant", 0)],
        objects={stolen: another_tenants_answer()},
    )


def another_tenants_answer() -> bytes:
    return wire.schema("answer").encode(
        {
            "tenant": "other",
            "request_fingerprint": "a",
            "answer_fingerprint": "a",
            "text": "A secret of another tenant.",
            "finish_reason": "stop",
            "model": {
                "provider": "precis",
                "name": "m",
                "revision": "1",
                "quantisation": "",
                "prompt_digest": "p",
            },
            "accepted": False,
            "cost": Decimal(0),
            "created_at": 0,
        }
    )
