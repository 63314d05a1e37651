"""Avro single-object encoding, straight from schemas/avro: what a publisher or reader outside of Précis does.

Nothing here uses Précis' own code. C3 01, the CRC-64-AVRO fingerprint of the schema's canonical form (little-endian), the datum:
https://avro.apache.org/docs/1.12.0/specification/#single-object-encoding
"""

import io
import json
from functools import cache
from pathlib import Path

import fastavro
import fastavro.schema

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas" / "avro"
MARKER = b"\xc3\x01"


class Schema:
    """One record's schema, the newest version there is."""

    def __init__(self, name: str):
        newest = max((SCHEMAS / name).glob("v*.avsc"), key=lambda path: int(path.stem[1:]))
        raw = json.loads(newest.read_text(encoding="utf-8"))
        self.parsed = fastavro.parse_schema(raw)
        self.header = f"{name}.{newest.stem}"
        canonical = fastavro.schema.to_parsing_canonical_form(raw)
        self.prefix = MARKER + bytes.fromhex(fastavro.schema.fingerprint(canonical, "CRC-64-AVRO"))

    def encode(self, record: dict) -> bytes:
        out = io.BytesIO(self.prefix)
        out.seek(0, io.SEEK_END)
        fastavro.schemaless_writer(out, self.parsed, record)
        return out.getvalue()

    def decode(self, data: bytes) -> dict:
        if data[:10] != self.prefix:
            raise ValueError(f"not a {self.header} in single-object encoding: {data[:10].hex()}")
        rest = io.BytesIO(data[10:])
        record = fastavro.schemaless_reader(rest, self.parsed, None)
        if trailing := rest.read():
            raise ValueError(f"{len(trailing)} bytes after the datum")
        return record


@cache
def schema(name: str) -> Schema:
    return Schema(name)
