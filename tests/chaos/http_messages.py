"""As much of HTTP/1.1 as a fault server needs, on asyncio's streams: where it must break off is up to the caller.

https://www.rfc-editor.org/rfc/rfc9112: a request line or status line, fields, and a body of a length that the fields tell.
"""

import asyncio
from dataclasses import dataclass, field

END = b"\r\n"


class Broken(Exception):
    """What came in is no HTTP, or ended in the middle."""


@dataclass
class Message:
    """A request (`start` = method, target, version) or a response (`start` = version, status, reason)."""

    start: list[str]
    fields: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    def get(self, name: str) -> str | None:
        return next((value for key, value in self.fields if key.lower() == name), None)

    @property
    def status(self) -> int:
        return int(self.start[1])

    def head(self) -> bytes:
        lines = [" ".join(self.start), *(f"{key}: {value}" for key, value in self.fields)]
        return END.join(line.encode("latin-1") for line in lines) + END + END


async def read_request(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> Message | None:
    """The next request of a connection; `None` when the client has closed it."""
    message = await read_head(reader)
    if message and (message.get("expect") or "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if message:
        message.body = await read_body(reader, message, until_end=False)
    return message


async def read_response(reader: asyncio.StreamReader, asked: Message) -> Message:
    """The response to a request on a connection that the server closes after it."""
    message = await read_head(reader)
    if message is None:
        raise Broken("no response")
    if asked.start[0] != "HEAD" and message.status not in {204, 304}:
        message.body = await read_body(reader, message, until_end=True)
    return message


async def read_head(reader: asyncio.StreamReader) -> Message | None:
    try:
        head = await reader.readuntil(END + END)
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise Broken("the head breaks off") from None
        return None
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    pairs = [line.partition(":") for line in lines]
    start = first.split(" ", 2)
    if len(start) < 2:
        raise Broken(f"no start line: {first!r}")
    return Message(start, [(key, value.strip()) for key, _, value in pairs])


async def read_body(reader: asyncio.StreamReader, message: Message, until_end: bool) -> bytes:
    try:
        if "chunked" in (message.get("transfer-encoding") or "").lower():
            return await read_chunks(reader)
        if (length := message.get("content-length")) is not None:
            return await reader.readexactly(int(length))
        return await reader.read() if until_end else b""
    except asyncio.IncompleteReadError:
        raise Broken("the body breaks off") from None


async def read_chunks(reader: asyncio.StreamReader) -> bytes:
    parts = []
    while size := int((await reader.readuntil(END)).split(b";")[0], 16):
        parts.append(await reader.readexactly(size))
        await reader.readexactly(len(END))
    while (await reader.readuntil(END)) != END:
        pass
    return b"".join(parts)


def response(
    status: int, body: bytes, content_type: str = "application/json", **fields: str
) -> Message:
    """A response with its length."""
    named = [(key.replace("_", "-"), value) for key, value in fields.items()]
    return Message(
        ["HTTP/1.1", str(status), "Status"],
        [("content-type", content_type), ("content-length", str(len(body))), *named],
        body,
    )
