"""A worker's way to Kafka, cut as networks cut it. Everything else of the deployment keeps its own."""

import asyncio
import contextlib
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "chaos"))

import servers  # noqa: E402
from deployment import KafkaDeployment  # noqa: E402
from loop import Loop  # noqa: E402
from tcp_proxy import CHUNK, TcpProxy  # noqa: E402

# Kafka's number of a request to read: https://kafka.apache.org/protocol#The_Messages_Fetch
FETCH = (1).to_bytes(2, "big")


class Link(TcpProxy):
    """Cut in one of these ways until it is healed:

    refused: connections break and no new one is taken. stalled: they stay, and nothing arrives any more. unread: what the worker asks to
    read never arrives, what it writes does, as where the broker that leads `control` is away and the others are not.
    """

    WAYS = ("refused", "stalled", "unread")

    def __init__(self, loop: Loop):
        super().__init__(loop)
        self.way = ""
        self.reading = asyncio.Event()
        self.reading.set()

    def cut_as(self, way: str) -> None:
        self.loop.run(self.change(way))

    def heal(self) -> None:
        self.loop.run(self.change(""))

    async def change(self, way: str) -> None:
        assert not way or way in self.WAYS, way
        self.way = way
        for event, held in ((self.flowing, "stalled"), (self.reading, "unread")):
            event.clear() if way == held else event.set()
        if way == "refused":
            self.cut_now()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.way == "refused":
            writer.transport.abort()
        else:
            await super().serve(reader, writer)

    async def pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                # A request is its length, then its number. Requests are smaller than a chunk and sent one by one.
                if data[4:6] == FETCH:
                    await self.reading.wait()
                await self.flowing.wait()
                writer.write(data)
                await writer.drain()


class LinkedKafka:
    """A broker of its own with a second listener, which is reached through the link."""

    def __init__(self, folder: Path):
        self.loop = Loop()
        self.link = Link(self.loop)
        self.broker = servers.Kafka(folder, by_proxy=self.link.port)
        self.broker.start()
        self.link.target = self.broker.proxied_port

    def close(self) -> None:
        self.link.close()
        self.broker.stop()
        self.loop.close()


class LinkedDeployment(KafkaDeployment):
    """The API worker reaches Kafka by the link alone; router, commands and the test go straight."""

    def __init__(self, *arguments, link: Link, **more):
        self.link = link
        super().__init__(*arguments, **more)

    def log_settings(self, instance: str) -> dict:
        settings = super().log_settings(instance)
        if instance == "api-worker":
            settings["kafka"]["brokers"] = f"{servers.LOOPBACK}:{self.link.port}"
        return settings
