"""An S3 endpoint that stands before a real one and fails as S3 does, and never lies.

Every answer it makes up is true: 503 and 409 (ConditionalRequestConflict) say that nothing was written, and nothing was. The one
thing that it keeps back is the reply of a put that landed. It makes up no 412: the real server says that, and it is counted.

Of several that create one key at once it lets one at a time through: moto looks and then writes, so that two may be told that they were first.
"""

import asyncio
import contextlib
import re
from collections import Counter
from random import Random
from weakref import WeakValueDictionary

import http_messages as http
from http_server import HOST, HttpServer
from loop import Loop

ERROR = '<?xml version="1.0" encoding="UTF-8"?><Error><Code>{}</Code><Message>{}</Message></Error>'
SLOWEST_SECONDS = 1.5
# Of the requests that a period of faults could hit, so many are hit: the rest get through, as they do at an overloaded store.
SHARE = 0.5


class S3Proxy(HttpServer):
    """Before the endpoint on loopback's port `target`; `mode` is the fault that reigns, empty for none."""

    def __init__(self, loop: Loop, target: int, seed: int):
        self.target, self.random = target, Random(f"precis chaos s3 1 {seed}")
        self.mode = ""
        self.counts: Counter[str] = Counter()
        self.keys: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        super().__init__(loop)

    async def answer(
        self, request: http.Message, writer: asyncio.StreamWriter
    ) -> http.Message | None:
        self.counts["requests"] += 1
        creating = request.start[0] == "PUT" and request.get("if-none-match") == "*"
        hit = self.mode if self.random.random() < SHARE else ""
        if hit == "503":
            self.counts["503"] += 1
            # The second may mean anything to a client, also that the write was carried out.
            code = self.random.choice(["SlowDown", "ServiceUnavailable"])
            return refusal(503, code)
        if hit == "409" and creating:
            self.counts["409"] += 1
            return refusal(409, "ConditionalRequestConflict")
        if hit == "slow":
            self.counts["slow"] += 1
            await asyncio.sleep(self.random.uniform(0.2, SLOWEST_SECONDS))
        path = request.start[1].partition("?")[0]
        alone = self.keys.setdefault(path, asyncio.Lock()) if creating else contextlib.nullcontext()
        try:
            async with alone:
                answer = await self.forward(request)
        except (OSError, http.Broken, asyncio.IncompleteReadError):
            self.counts["endpoint away"] += 1
            return None
        self.note(request, answer, creating)
        if hit == "lost_reply" and creating and answer.status == 200:
            self.counts["lost_reply"] += 1
            return None
        return answer

    def note(self, request: http.Message, answer: http.Message, creating: bool) -> None:
        """Counts what the real server said about results: the arbiter of who settled a document."""
        result = re.match(r"/[^/]+/results/", request.start[1])
        if creating and answer.status == 412:
            self.counts["412"] += 1
            self.counts["412 of a result"] += bool(result)
        if result and request.start[0] == "GET" and answer.status == 200:
            self.counts["settled result read"] += 1

    async def forward(self, request: http.Message) -> http.Message:
        reader, writer = await asyncio.open_connection(HOST, self.target)
        try:
            dropped = {"connection", "expect", "transfer-encoding", "content-length"}
            fields = [pair for pair in request.fields if pair[0].lower() not in dropped]
            fields += [("Connection", "close"), ("Content-Length", str(len(request.body)))]
            writer.write(http.Message(request.start, fields).head() + request.body)
            await writer.drain()
            answer = await http.read_response(reader, request)
        finally:
            writer.transport.abort()
        kept = [
            pair
            for pair in answer.fields
            if pair[0].lower() not in {"connection", "transfer-encoding"}
        ]
        if answer.get("content-length") is None and answer.status not in {204, 304}:
            kept.append(("Content-Length", str(len(answer.body))))
        return http.Message(["HTTP/1.1", *answer.start[1:]], kept, answer.body)


def refusal(status: int, code: str) -> http.Message:
    return http.response(
        status, ERROR.format(code, "made up by the tests").encode(), "application/xml"
    )
