"""A server that hands each request to a function and keeps the connection; the function decides what becomes of both."""

import asyncio
import contextlib

import http_messages as http
from loop import Loop

HOST = "127.0.0.1"
LIMIT = 1024 * 1024


class HttpServer:
    """Subclasses answer by `answer`: with a response, or with `None` after they have broken the connection off."""

    def __init__(self, loop: Loop):
        self.loop = loop
        self.server = loop.run(asyncio.start_server(self.serve, HOST, 0, limit=LIMIT))
        self.port = self.server.sockets[0].getsockname()[1]

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    async def answer(
        self, request: http.Message, writer: asyncio.StreamWriter
    ) -> http.Message | None:
        raise NotImplementedError

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, http.Broken, asyncio.IncompleteReadError):
            while request := await http.read_request(reader, writer):
                answer = await self.answer(request, writer)
                if answer is None:
                    break
                writer.write(answer.head() + answer.body)
                await writer.drain()
        writer.transport.abort()

    def close(self) -> None:
        self.loop.soon(self.server.close)
