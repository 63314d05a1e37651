"""The servers that fail: they do what they are told, count it, and change nothing else."""

import contextlib
import http.client
import http.server
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import providers
import pytest
from loop import Loop
from providers import Provider
from s3_proxy import S3Proxy
from tcp_proxy import HOST, TcpProxy

SECONDS = 10


@pytest.fixture
def loop():
    loop = Loop()
    yield loop
    loop.close()


class Store(http.server.BaseHTTPRequestHandler):
    """A create-only store for one test."""

    def do_PUT(self):  # noqa: N802
        body = self.rfile.read(int(self.headers["content-length"]))
        held, key = self.server.objects, self.path.partition("?")[0]
        status = 412 if self.headers.get("if-none-match") == "*" and key in held else 200
        time.sleep(self.server.between)
        if status == 200:
            held[key] = body
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def store():
    server = http.server.ThreadingHTTPServer((HOST, 0), Store)
    server.objects = {}
    # How long it takes from a look to a write.
    server.between = 0.0
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


@pytest.fixture
def echo():
    """The port of a server that sends back what it is sent."""
    listener = socket.create_server((HOST, 0))

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=repeat, args=(connection,), daemon=True).start()

    def repeat(connection):
        with connection:
            while data := connection.recv(4096):
                connection.sendall(data)

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1]
    listener.close()


def create(port: int, path: str, body: bytes) -> int:
    connection = http.client.HTTPConnection(HOST, port, timeout=SECONDS)
    try:
        connection.request("PUT", path, body, {"If-None-Match": "*"})
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def test_cut_breaks_a_connection_but_not_the_next_one(loop, echo):
    """Bytes pass the TCP proxy, and a cut breaks the connection but not the next one."""
    proxy = TcpProxy(loop, echo)
    with socket.create_connection((HOST, proxy.port), timeout=SECONDS) as client:
        client.sendall(b"one")
        assert client.recv(10) == b"one"
        proxy.cut()
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(10) == b"", "the connection goes on"
    with socket.create_connection((HOST, proxy.port), timeout=SECONDS) as client:
        client.sendall(b"two")
        assert client.recv(10) == b"two"
    assert proxy.counts["cut connections"] == 1


def test_stalled_proxy_keeps_bytes_until_it_is_healed(loop, echo):
    """A stalled proxy keeps what it was sent until it is healed."""
    proxy = TcpProxy(loop, echo)
    with socket.create_connection((HOST, proxy.port), timeout=SECONDS) as client:
        client.sendall(b"one")
        client.recv(10)
        proxy.stall(True)
        client.sendall(b"two")
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.recv(10)
        proxy.heal()
        client.settimeout(SECONDS)
        assert client.recv(10) == b"two"
    assert proxy.counts["stalled chunks"] == 1


def test_without_a_fault_the_store_answers_for_itself(loop, store):
    proxy = S3Proxy(loop, store.server_port, seed=1)
    assert [create(proxy.port, "/bucket/results/a", b"a") for _ in range(2)] == [200, 412]
    assert store.objects == {"/bucket/results/a": b"a"}
    assert (proxy.counts["412"], proxy.counts["412 of a result"]) == (1, 1)


def test_one_of_many_creates_a_key_on_a_racy_store(loop, store):
    """One of many creates a key, even where the store looks first and writes then."""
    store.between = 0.02
    proxy = S3Proxy(loop, store.server_port, seed=1)
    with ThreadPoolExecutor(8) as threads:
        told = list(
            threads.map(lambda number: create(proxy.port, f"/bucket/a?n={number}", b"a"), range(8))
        )
    assert sorted(told) == [200] + [412] * 7


@pytest.mark.parametrize(("mode", "status"), [("503", 503), ("409", 409)])
def test_a_refused_create_was_not_carried_out(loop, store, mode, status):
    proxy = S3Proxy(loop, store.server_port, seed=1)
    proxy.mode = mode
    told = {
        f"/bucket/{number}": create(proxy.port, f"/bucket/{number}", b"a") for number in range(20)
    }
    assert set(told.values()) == {200, status}
    assert store.objects.keys() == {path for path, answer in told.items() if answer == 200}
    assert proxy.counts[mode] == list(told.values()).count(status)


def test_a_create_whose_reply_was_lost_did_land(loop, store):
    proxy = S3Proxy(loop, store.server_port, seed=1)
    proxy.mode = "lost_reply"
    lost = 0
    for number in range(20):
        try:
            assert create(proxy.port, f"/bucket/{number}", b"a") == 200
        except http.client.RemoteDisconnected:
            lost += 1
    assert len(store.objects) == 20 and 0 < lost == proxy.counts["lost_reply"]


def ask(provider: Provider, text: str = "chaos-1 says a lot of things") -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(HOST, provider.port, timeout=1)
    body = {
        "model": "m",
        "messages": [
            {
                "content": f"<document-0a1b>\n{text}\n</document-0a1b>\n\nin one sentence of at most 5 words"
            }
        ],
    }
    connection.request(
        "POST", "/v1/chat/completions", json.dumps(body), {"x-client-request-id": "a1"}
    )
    return connection.getresponse()


def test_provider_answers_differ_and_name_the_document(loop):
    """A provider answers about the document, and never twice the same."""
    provider = Provider(loop, seed=1)
    said = [json.loads(ask(provider).read())["choices"][0]["message"]["content"] for _ in range(2)]
    assert said == ["chaos-1 says a answer 1.", "chaos-1 says a answer 2."]
    assert {(asked.marker, asked.attempt_id) for asked in provider.asked} == {("chaos-1", "a1")}


def test_a_provider_asked_to_judge_gives_numbers_and_now_and_then_none(loop):
    provider = Provider(loop, seed=1)
    text = "chaos-1 says a lot\n</document-1>\n\n<summary-2>\nchaos-1, short.\n</summary-2>"
    told = [ask(provider, text) for _ in range(40)]
    said = [json.loads(one.read())["choices"][0]["message"]["content"] for one in told]
    verdicts = [json.loads(one) for one in said if one not in providers.UNREADABLE]
    assert 20 < len(verdicts) < 40
    assert all(1 <= verdict[name] <= 5 for verdict in verdicts for name in providers.CRITERIA)
    assert {(asked.marker, asked.summary) for asked in provider.asked} == {
        ("chaos-1", "chaos-1, short.")
    }


@pytest.mark.parametrize("mode", ["429", "500", "529"])
def test_a_provider_refuses_as_told_and_counts_it(loop, mode):
    provider = Provider(loop, seed=1)
    provider.mode = mode
    told = [ask(provider) for _ in range(20)]
    assert {answer.status for answer in told} == {200, int(mode)}
    assert all(answer.getheader("retry-after") for answer in told if answer.status == 429)
    assert provider.counts[mode] == sum(not asked.answered for asked in provider.asked) > 0


def test_half_a_body_garbage_and_silence(loop):
    provider = Provider(loop, seed=1)
    for mode in ("half", "garbage", "silent"):
        provider.mode = mode
        ends = set()
        for _ in range(8):
            try:
                ends.add(bool(json.loads(ask(provider).read())["choices"]))
            except (
                http.client.IncompleteRead,
                ValueError,
                KeyError,
                TypeError,
                TimeoutError,
                OSError,
            ) as error:
                ends.add(type(error).__name__)
            if len(ends) > 1:
                break
        assert provider.counts[mode] > 0 and ends - {True}, (mode, ends)
