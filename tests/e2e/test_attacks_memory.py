"""A server, and a publisher, that send far more than anybody asked for: every document ends, and is paid for once."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import notes
import pytest
from deployment import API, TENANT
from oracle import settled

ANSWER_BYTES = 3 * 1024 * 1024
REPLY = json.dumps(
    {
        "choices": [
            {
                "message": {
                    "role": "assistant",
                    "content": "More than asked for. " * (ANSWER_BYTES // 21),
                },
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 50, "completion_tokens": 12},
    }
).encode()
BODY_BYTES = 1024 * 1024
BUDGET_BYTES = 2 * BODY_BYTES
DOCUMENTS = 64


class Flood(BaseHTTPRequestHandler):
    """Answers with three mebibytes whatever was asked."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.server.requests += 1
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(REPLY)))
        self.end_headers()
        self.wfile.write(REPLY)

    def log_message(self, *_: object) -> None:
        """Nothing: one line a document is noise."""


class Provider:
    """The stand-in, as a deployment wants one."""

    def __init__(self) -> None:
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Flood)
        self.server.requests = 0
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answers(self) -> None:
        """It always does."""


@pytest.fixture
def flood():
    provider = Provider()
    yield provider
    provider.server.shutdown()


def test_answer_of_megabytes_ends_its_document_once(kafka_deployment, flood):
    """The document is flagged with what fits of the answer, and asked for once."""
    deployment = kafka_deployment(API, llmock=flood)
    deployment.start("precis-router")
    deployment.start("precis-api-worker")
    published = deployment.publish([notes.note(1)])
    deployment.kafka.follow("summaries").until(settled(1), "the outcome")
    outcome = next(iter(deployment.assert_settled(published).values()))
    assert outcome["status"] == "flagged"
    assert outcome["finish_reason"] == "length"
    assert 1024 < len(outcome["summary"]) < 128 * 1024
    assert flood.server.requests == 1


def test_records_that_name_one_large_body_all_end(kafka_deployment, llmock):
    """Many small records name one body of half the budget: they take turns for its bytes, and each ends."""
    deployment = kafka_deployment(API, llmock=llmock)
    budget = {"stage": {"max_text_bytes_in_process": BUDGET_BYTES}}
    settings = deployment.service_settings()
    settings["api_worker"] |= budget
    deployment.service_settings = lambda: settings | {"router": budget}
    body = f"{notes.ANSWER} ".encode() * (BODY_BYTES // (len(notes.ANSWER) + 1))
    key = f"bodies/{TENANT}/large"
    deployment.store.client.put_object(Bucket=deployment.store.bucket, Key=key, Body=body)
    reference = {
        "key": key,
        "sha256": hashlib.sha256(body).hexdigest(),
        "size_bytes": len(body),
    }
    documents = [
        notes.note(number, text=None, body=reference, instruction=f"Write for reader {number}.")
        for number in range(DOCUMENTS)
    ]
    deployment.start("precis-router")
    deployment.start("precis-api-worker")
    published = deployment.publish(documents)
    deployment.kafka.follow("summaries").until(settled(DOCUMENTS), "every outcome")
    deployment.assert_settled(published)
