"""A TCP proxy that can cut, stall and slow what goes through it, both ways.

It changes, drops and reorders no byte: whatever arrives is a prefix of what was sent, as with a network that fails.
"""

import asyncio
import contextlib
from collections import Counter

from loop import Loop

HOST = "127.0.0.1"
CHUNK = 64 * 1024


class TcpProxy:
    """Listens on `port`; `target` is where connections lead to and may be set before the first one comes."""

    def __init__(self, loop: Loop, target: int | None = None):
        self.loop, self.target = loop, target
        self.counts: Counter[str] = Counter()
        self.transports: set[asyncio.Transport] = set()
        self.delay = 0.0
        self.flowing = asyncio.Event()
        self.flowing.set()
        self.server = loop.run(asyncio.start_server(self.serve, HOST, 0))
        self.port = self.server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """Breaks every connection there is; new ones are taken."""
        self.loop.soon(self.cut_now)

    def stall(self, stalled: bool) -> None:
        """Holds every byte back, without closing anything, until told otherwise."""
        self.loop.soon(self.flowing.clear if stalled else self.flowing.set)

    def slow(self, seconds: float) -> None:
        """Adds so much to the way of every chunk, each way; 0 for none."""
        self.delay = seconds

    def heal(self) -> None:
        self.slow(0)
        self.stall(False)

    def close(self) -> None:
        self.loop.soon(self.server.close)
        self.cut()

    def cut_now(self) -> None:
        self.counts["cut connections"] += len(self.transports) // 2
        for transport in self.transports:
            transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.transports.add(writer.transport)
        out = None
        try:
            back, out = await asyncio.open_connection(HOST, self.target)
            self.transports.add(out.transport)
            self.counts["connections"] += 1
            ways = [
                asyncio.ensure_future(self.pump(reader, out)),
                asyncio.ensure_future(self.pump(back, writer)),
            ]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        except OSError:
            self.counts["refused connections"] += 1
        finally:
            for end in filter(None, (writer, out)):
                self.transports.discard(end.transport)
                end.transport.abort()

    async def pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                if not self.flowing.is_set():
                    self.counts["stalled chunks"] += 1
                    await self.flowing.wait()
                if self.delay:
                    self.counts["slowed chunks"] += 1
                    await asyncio.sleep(self.delay)
                writer.write(data)
                await writer.drain()
