"""The embedded log read from its file, with SQLite alone: what is committed, whoever wrote it."""

import sqlite3
import time
from pathlib import Path

from kafka import WAIT_SECONDS, Record


class EmbeddedLog:
    """The log of one machine."""

    def __init__(self, path: Path):
        self.path = path

    def read(self, topic: str) -> list[Record]:
        """Every committed record of a topic."""
        query = """SELECT partition, offset, key, value, headers FROM records
                   WHERE topic = (SELECT id FROM topics WHERE name = ?) ORDER BY partition, offset"""
        connection = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=30)
        try:
            rows = connection.execute(query, (topic,)).fetchall()
        finally:
            connection.close()
        return [
            Record(topic, partition, offset, key, value, headers(column))
            for partition, offset, key, value, column in rows
        ]

    def until(self, topic: str, enough, what: str, seconds: float = WAIT_SECONDS) -> list[Record]:
        """Reads again and again until `enough(records)`; `what` says in the failure what was waited for."""
        deadline = time.monotonic() + seconds
        while not enough(records := self.read(topic)):
            assert time.monotonic() < deadline, (
                f"waited {seconds} s for {what}; {len(records)} records on {topic}"
            )
            time.sleep(0.2)
        return records


def headers(column: bytes) -> tuple[tuple[str, bytes], ...]:
    """Name and value in turn, each after its length in four little-endian bytes."""
    parts, at = [], 0
    while at < len(column):
        length = int.from_bytes(column[at : at + 4], "little")
        parts.append(column[at + 4 : at + 4 + length])
        at += 4 + length
    return tuple(
        (name.decode(), value) for name, value in zip(parts[::2], parts[1::2], strict=True)
    )
