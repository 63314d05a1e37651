"""Writes the golden files beside it with fastavro, an Avro implementation that shares no code with ours.

Run by hand after a new schema version: python3 schemas/tests/golden/make.py
The values are those of tests/suite/samples.rs; the test suite holds the two against each other.
"""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import BytesIO
from pathlib import Path

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

HERE = Path(__file__).parent
AVRO = HERE.parent.parent / "avro"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
AT = EPOCH + timedelta(milliseconds=1_764_000_000_123)


def later(milliseconds):
    return AT + timedelta(milliseconds=milliseconds)


ORIGIN = {"topic": "documents.acme", "partition": 7, "offset": 9_876_543_210}
BODY = {"key": "bodies/acme/b1", "sha256": "00ff", "size_bytes": 3_000_000_000}
TRIAL = {
    "tier": "gpu",
    "result": "refused",
    "code": "switched_off",
    "answer_key": "cache/acme/a1",
    "failed_checks": ["unsupported_numbers", "language"],
    "policy_digest": "p1",
    "at": AT,
}
BARE_DECISION = {"score": 0.8125, "chosen": "gpu", "reason": "score", "policy_digest": "p1"}
DECISION = BARE_DECISION | {
    "eligible": ["gpu", "api"],
    "excluded": [{"tier": "far", "reason": "residency"}],
    "features": {"tokens": 812.0},
    "thresholds": {"gpu": 0.5},
    "shadow_price": 0.25,
    "arm": "b",
}
BARE_MODEL = {"provider": "local", "name": "smollm2-135m-instruct", "prompt_digest": "d1"}
MODEL = BARE_MODEL | {"revision": "sha256:ab", "quantisation": "q4_k_m", "adapter": "legal"}
CHECKS = [
    {"name": "empty", "passed": True},
    {"name": "unsupported_numbers", "passed": False, "value": -0.5, "detail": "1999"},
]


def rouge(precision, recall, f):
    one = {"precision": precision, "recall": recall, "f": f}
    return {"rouge1": one, "rouge2": one, "rouge_l": one, "rouge_lsum": one}


SCORES = {
    "source_rouge1": 1.0,
    "source_rouge2": 0.5,
    "source_rouge_l": 0.25,
    "novelty1": 0.0,
    "novelty2": 0.125,
    "length_ratio": 1.5,
}
REFERENCE_SCORES = {
    "rouge": rouge(0.5, 0.25, 0.375),
    "rouge_stemmed": rouge(1.0, 0.5, 0.75),
    "unicode_rouge": rouge(0.0, 0.0, 0.0),
    "bleu": 12.5,
    "chrf": 62.5,
    "exact_match": True,
}

# Required fields, then what the full sample has besides or instead.
SAMPLES = {
    "document": (
        {"document_id": "d", "submitted_at": EPOCH},
        {
            "document_id": "contract-42 é 中 🦀",
            "revision": 3,
            "submitted_at": AT,
            "tenant": "acme",
            "deadline": later(60_000),
            "priority": -5,
            "sensitivity": "confidential",
            "residency": "eu",
            "subject_ids": ["person-1", ""],
            "document_type": "contract",
            "critical": True,
            "content_type": "text/html",
            "language": "fr",
            "title": "Contrat",
            "text": "Le présent contrat…",
            "body": BODY,
            "instruction": "obligations only",
            "max_words": 120,
            "output_language": "en",
            "format": "bullets",
            "reference": "A contract.",
            "purpose": "canary",
        },
    ),
    "routed_document": (
        {
            "tenant": "acme",
            "document_id": "d",
            "revision": 3,
            "origin": ORIGIN,
            "request_digest": "r1",
            "request_fingerprint": "f1",
            "document": b"",
            "tier": "gpu",
            "decision": BARE_DECISION,
            "policy_digest": "p1",
            "routed_at": AT,
        },
        {
            "document": b"\xc3\x01\x00\xff",
            "decision": DECISION,
            "trail": [TRIAL, TRIAL | {"result": "failed_checks"}],
            "purpose": "shadow",
            "priority": 9,
            "deadline": AT,
            "replay": True,
            "evaluation": {"round": 2, "probability": 0.125, "provider": "local", "model": "m"},
        },
    ),
    "escalation": (
        {
            "routed": b"",
            "trial": {k: v for k, v in TRIAL.items() if k not in ("answer_key", "failed_checks")},
        },
        {"routed": b"\x01\x02\x03", "trial": TRIAL},
    ),
    "answer": (
        {
            "tenant": "acme",
            "request_fingerprint": "f1",
            "answer_fingerprint": "a1",
            "text": "A contract.",
            "finish_reason": "stop",
            "model": BARE_MODEL,
            "accepted": True,
            "cost": Decimal(0),
            "created_at": AT,
        },
        {
            "model": MODEL,
            "input_tokens": 5_000_000_000,
            "cached_input_tokens": 100,
            "output_tokens": 70,
            "chunks": 4,
            "checks": CHECKS,
            "cost": Decimal("0.00045"),
            "price_digest": "pr1",
            "generation_ms": 1234,
            "subject_ids": ["person-1"],
            "scores": SCORES,
        },
    ),
    "outcome": (
        {
            "tenant": "acme",
            "document_id": "d",
            "revision": 3,
            "status": "failed",
            "cost": Decimal(0),
            "critical": False,
            "origin": ORIGIN,
            "request_digest": "r1",
            "request_fingerprint": "f1",
            "policy_digest": "p1",
            "submitted_at": AT,
            "settled_at": later(1),
        },
        {
            "status": "flagged",
            "summary": "A contract.",
            "code": "unsupported_numbers",
            "message": "1 number is not in the source",
            "tier": "gpu",
            "model": MODEL,
            "language": "fr",
            "format": "bullets",
            "words_in": 900,
            "words_out": 2,
            "input_tokens": 1200,
            "cached_input_tokens": 7,
            "output_tokens": 5,
            "chunks": 2,
            "finish_reason": "stop",
            "checks": CHECKS,
            "decision": DECISION,
            "trail": [TRIAL],
            "cost": Decimal("-12.5"),
            "price_digest": "pr1",
            "cache": "exact",
            "purpose": "evaluation",
            "critical": True,
            "document_type": "contract",
            "subject_ids": ["person-1"],
            "answer_key": "cache/acme/a1",
            "generation_ms": 1234,
            "scores": SCORES | {"reference": REFERENCE_SCORES},
            "quality_index": 0.75,
        },
    ),
    "dead_letter": (
        {
            "id": "router/documents.acme/7/12",
            "stage": "router",
            "code": "malformed_record",
            "topic": "documents.acme",
            "partition": 7,
            "offset": 12,
            "failed_at": AT,
        },
        {
            "message": "it ends too early",
            "key": b"\x00",
            "value": b"\xff\x00\x80",
            "value_ref": BODY,
            "headers": [
                {"name": "traceparent", "value": b"00-x"},
                {"name": "traceparent", "value": b""},
            ],
            "attempts": 3,
            "tenant": "acme",
        },
    ),
    "dead_letter_action": (
        {"id": "router/documents.acme/7/12", "action": "replayed", "by": "ops", "at": AT},
        {"reason": "fixed upstream"},
    ),
    "audit_record": (
        {"at": AT, "by": "ops", "action": "tier_off", "target": "tier/api"},
        {
            "before": "on",
            "after": "off",
            "reason": "outage é",
            "details": {"count": "3"},
            "host": "host-1",
            "program": "precis 0.1.0",
        },
    ),
    "policy_applied": (
        {"digest": "p1", "toml": "", "applied_by": "ops", "applied_at": AT},
        {"toml": "version = 1\n"},
    ),
    "tier_switch": (
        {"tier": "api", "state": "on", "by": "api-worker", "at": AT},
        {"state": "drain", "reason": "no_key"},
    ),
    "evaluation": (
        {
            "tenant": "acme",
            "document_id": "d",
            "revision": 3,
            "round": 2,
            "status": "failed",
            "rubric": "rubric.v1",
            "probability": 0.125,
            "outcome_status": "failed",
            "cost": Decimal(0),
            "critical": False,
            "origin": ORIGIN,
            "request_digest": "r1",
            "policy_digest": "p1",
            "settled_at": AT,
        },
        {
            "status": "judged",
            "code": "no_judge",
            "message": "no tier may judge it",
            "scores": {
                "faithfulness": 2,
                "coverage": 3,
                "coherence": 5,
                "conciseness": 4,
                "score": 0.625,
            },
            "unsupported_claims": ["It ends in 1999."],
            "remark": "Short.",
            "judge_tier": "premium",
            "judge": MODEL,
            "same_model": True,
            "outcome_status": "flagged",
            "tier": "gpu",
            "model": MODEL,
            "summary_sha256": "00ff",
            "quality_index": 0.75,
            "language": "fr",
            "critical": True,
            "document_type": "contract",
            "subject_ids": ["person-1"],
            "trail": [TRIAL],
            "input_tokens": 1200,
            "output_tokens": 80,
            "cost": Decimal("-12.5"),
            "price_digest": "pr1",
        },
    ),
    "ledger_attempt": (
        {
            "attempt_id": "at1",
            "tenant": "acme",
            "document_id": "d",
            "revision": 3,
            "tier": "api",
            "provider": "anthropic",
            "model": "m",
            "reserved": Decimal(0),
            "price_digest": "pr1",
            "at": AT,
        },
        {"reserved": Decimal("999999999.999999999"), "purpose": "evaluation"},
    ),
    "ledger_settlement": (
        {
            "attempt_id": "at1",
            "result": "billed",
            "cost": Decimal(0),
            "price_digest": "pr1",
            "at": AT,
        },
        {
            "result": "unknown",
            "input_tokens": 1,
            "cached_input_tokens": 2,
            "output_tokens": 3,
            "cost": Decimal("0.000000001"),
            "provider_request_id": "req_1",
        },
    ),
}


def single_object(schema, fingerprint_hex, record):
    out = BytesIO()
    out.write(b"\xc3\x01" + bytes.fromhex(fingerprint_hex))
    fastavro.schemaless_writer(out, schema, record)
    return out.getvalue()


def main():
    fingerprints = {}
    for path in sorted(AVRO.glob("*/v*.avsc")):
        name, version = path.parent.name, int(path.stem[1:])
        schema = json.loads(path.read_text())
        fingerprints[name, version] = fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO")
    lines = [
        f"{name}.v{version} {value}\n" for (name, version), value in sorted(fingerprints.items())
    ]
    (HERE / "fingerprints.txt").write_text("".join(lines))

    for name, (bare, more) in SAMPLES.items():
        version = max(v for n, v in fingerprints if n == name)
        schema = fastavro.parse_schema(json.loads((AVRO / name / f"v{version}.avsc").read_text()))
        for kind, record in (("bare", bare), ("full", bare | more)):
            data = single_object(schema, fingerprints[name, version], record)
            (HERE / f"{name}.{kind}.bin").write_bytes(data)
            fastavro.schemaless_reader(BytesIO(data[10:]), schema, None)
    print(f"{len(fingerprints)} fingerprints, {2 * len(SAMPLES)} records")


if __name__ == "__main__":
    main()
