"""The S3 server of the tests decides conditional writes as S3 does."""

import contextlib
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import s3_server
import servers

ROUNDS = 30
CREATORS = 16
# moto reads who asks from it and does not verify it.
SIGNED = "Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0\r\n"


def request(port: int, path: str, length: int, more: str = "") -> socket.socket:
    """A request on a connection of its own, without its body of `length` bytes."""
    connection = socket.create_connection((servers.LOOPBACK, port))
    head = f"PUT {path} HTTP/1.1\r\nHost: {servers.LOOPBACK}:{port}\r\nConnection: close\r\n{SIGNED}{more}Content-Length: {length}\r\n\r\n"
    connection.sendall(head.encode())
    return connection


def status(connection: socket.socket) -> int:
    with connection, connection.makefile("rb") as answer:
        return int(answer.readline().split()[1])


def test_of_racing_creators_exactly_one_is_first(tmp_path):
    server = servers.S3(tmp_path)
    server.start()
    try:
        assert status(request(server.port, "/races", 0)) == 200
        for number in range(ROUNDS):
            racing = [
                request(server.port, f"/races/key-{number}", 1, "If-None-Match: *\r\n")
                for _ in range(CREATORS)
            ]
            for connection in racing:
                connection.sendall(b".")
            assert sorted(map(status, racing)) == [200] + [412] * (CREATORS - 1), f"round {number}"
    finally:
        server.stop()


def test_creators_of_one_key_take_turns():
    """Creators of one key take turns, although looking and writing are two steps."""
    written: set[str] = set()
    everybody_looked = threading.Barrier(CREATORS)

    def looks_then_writes(environ, start_response):
        there = environ["PATH_INFO"] in written
        with contextlib.suppress(threading.BrokenBarrierError):
            everybody_looked.wait(0.05)
        written.add(environ["PATH_INFO"])
        start_response("412" if there else "200", [])
        return []

    def create(_) -> str:
        said = []
        environ = {"REQUEST_METHOD": "PUT", "HTTP_IF_NONE_MATCH": "*", "PATH_INFO": "/races/key"}
        list(application(environ, lambda status, headers: said.append(status)))
        return said[0]

    application = s3_server.OneCreatorAtATime(looks_then_writes)
    with ThreadPoolExecutor(CREATORS) as pool:
        assert sorted(pool.map(create, range(CREATORS))) == ["200"] + ["412"] * (CREATORS - 1)
