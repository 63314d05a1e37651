"""The controller on real Kafka: what falls is told once, by its metrics and to the operators' address, however many controllers run."""

import base64
import hashlib
import hmac
import json
import random
import threading
import time
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import wire
from deployment import GPU

HOUR_MS = 3_600_000
DAYS = 8
AN_HOUR = 40
SECRET = base64.b64encode(b"a secret of the tests").decode()


class Endpoint:
    """The operators' address: refuses the first request, keeps them all."""

    def __init__(self) -> None:
        self.taken: list[tuple[dict, bytes]] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.endpoint = self
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Handler(BaseHTTPRequestHandler):
    """One request of a controller."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        taken = self.server.endpoint.taken
        taken.append((dict(self.headers), body))
        self.send_response(503 if len(taken) == 1 else 204)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


def outcomes(now_ms: int) -> list[tuple[bytes, bytes, list]]:
    """Eight days of outcomes of two tiers; the index of one falls by an eighth over the last twelve hours, with a new model."""
    schema, chance, records = wire.schema("outcome"), random.Random(1), []
    for back in range(DAYS * 24 - 1, -1, -1):
        for number in range(AN_HOUR):
            tier = ("gpu", "mid")[number % 2]
            fell = tier == "gpu" and back < 12
            name = f"{tier}-{back}-{number}"
            model = {"provider": "precis", "name": tier, "revision": "v2" if fell else "v1"}
            record = {
                "tenant": "acme",
                "document_id": name,
                "revision": 0,
                "status": "answered",
                "summary": "A note.",
                "tier": tier,
                "model": model | {"prompt_digest": "p1"},
                "language": "en",
                "words_in": 100 + chance.randrange(20),
                "cost": Decimal(0),
                "critical": False,
                "document_type": "letter",
                "origin": {"topic": "documents.acme", "partition": 0, "offset": len(records)},
                "request_digest": "r",
                "request_fingerprint": "f",
                "policy_digest": "p",
                "submitted_at": now_ms - back * HOUR_MS,
                "settled_at": now_ms - back * HOUR_MS,
                "quality_index": (0.74 if fell else 0.85) + 0.1 * (chance.random() - 0.5),
            }
            headers = [("precis-schema", schema.header.encode())]
            records.append((f"acme/{name}".encode(), schema.encode(record), headers))
    return records


def evaluations(records: list[tuple[bytes, bytes, list]]) -> list[tuple[bytes, bytes, list]]:
    """A quarter of one tier's summaries, judged a tenth below their index, each published twice as after a second delivery."""
    outcome_schema, schema = wire.schema("outcome"), wire.schema("evaluation")
    chance, judged = random.Random(2), []
    for key, value, _ in records:
        outcome = outcome_schema.decode(value)
        if outcome["tier"] != "gpu" or chance.random() >= 0.25:
            continue
        taken = ("tenant", "document_id", "revision", "tier", "model", "language", "critical")
        copied = {name: outcome[name] for name in (*taken, "origin", "quality_index", "settled_at")}
        numbers = dict.fromkeys(("faithfulness", "coverage", "coherence", "conciseness"), 4)
        evaluation = copied | {
            "round": 1,
            "status": "judged",
            "rubric": "rubric.v1",
            "scores": numbers | {"score": outcome["quality_index"] - 0.1},
            "probability": 0.25,
            "outcome_status": "answered",
            "document_type": "letter",
            "cost": Decimal(0),
            "request_digest": "r",
            "policy_digest": "p",
        }
        headers = [("precis-schema", schema.header.encode())]
        judged += [(key, schema.encode(evaluation), headers)] * 2
    return judged


def wait_for(condition, what: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what} did not come within {seconds} s"
        time.sleep(0.2)


def test_a_fall_is_shown_and_told_once_by_several_controllers(kafka_deployment):
    endpoint = Endpoint()
    deployment = kafka_deployment(GPU)
    watched = {"current_days": 2, "baseline_days": DAYS - 2, "interval_ms": 1000}
    deployment.service_settings = lambda: {
        "controller": watched | {"webhook": {"url": endpoint.url}}
    }
    deployment.keys = lambda: {"PRECIS_WEBHOOK_SECRET": f"whsec_{SECRET}"}
    deployment.cli("topics", "apply")
    records = outcomes(int(time.time() * 1000))
    deployment.kafka.publish("summaries", records)
    deployment.kafka.publish("evaluations", evaluations(records))
    controllers = [
        deployment.start("precis-controller", instance=f"controller-{name}") for name in "ab"
    ]
    wait_for(lambda: len(endpoint.taken) >= 2, "the alarm")
    for controller in controllers:
        wait_for(controller.is_ready, "the end of the topic")
        assert controller.metric("precis_quality_fallen_groups", cause="model") == 1
        fallen = controller.metric("precis_quality_change_ratio", tier="gpu")
        steady = controller.metric("precis_quality_change_ratio", tier="mid")
        assert fallen < -0.02 < steady < 0.02, (fallen, steady)
        mean = controller.metric("precis_quality_index_mean", tier="gpu", window="baseline")
        assert abs(mean - 0.85) < 0.005
        judged = controller.metric("precis_quality_judge_mean", tier="gpu", window="baseline")
        assert abs(judged - (mean - 0.1)) < 0.01, (judged, mean)
    deployment.drain()
    again = deployment.start("precis-controller", instance="controller-c")
    wait_for(again.is_ready, "the third controller")
    time.sleep(3)
    deployment.drain()
    endpoint.close()
    ids = {headers["webhook-id"] for headers, _ in endpoint.taken}
    assert len(endpoint.taken) == 2 and len(ids) == 1, "refused once, taken once, by one of them"
    headers, body = endpoint.taken[1]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = hmac.new(base64.b64decode(SECRET), signed, hashlib.sha256).digest()
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(expected).decode()}"
    told = json.loads(body)
    assert (told["type"], told["group"]) == (
        "precis.quality.fell",
        {"tier": "gpu", "type": "letter"},
    )
    assert told["cause"] == "model" and told["change"] < 0, told
