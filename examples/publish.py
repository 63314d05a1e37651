"""Publishes text files as documents: python3 publish.py BROKERS TENANT FILE..."""

import io
import json
import sys
import time
from pathlib import Path

import fastavro
from confluent_kafka import Producer
from fastavro.schema import fingerprint, to_parsing_canonical_form

SCHEMA = json.loads(
    (Path(__file__).resolve().parents[1] / "schemas/avro/document/v1.avsc").read_text()
)
# Avro single-object encoding: two magic bytes, then the fingerprint of the schema.
HEADER = b"\xc3\x01" + bytes.fromhex(fingerprint(to_parsing_canonical_form(SCHEMA), "CRC-64-AVRO"))


def encode(document: dict) -> bytes:
    out = io.BytesIO()
    out.write(HEADER)
    fastavro.schemaless_writer(out, fastavro.parse_schema(SCHEMA), document)
    return out.getvalue()


def main(brokers: str, tenant: str, files: list[str]) -> None:
    # Acknowledged by all replicas, and written once even where the client has to try again.
    producer = Producer({"bootstrap.servers": brokers, "acks": "all", "enable.idempotence": True})
    failed = []
    for name in files:
        document = {
            "document_id": Path(name).name,
            "submitted_at": int(time.time() * 1000),
            "text": Path(name).read_text(encoding="utf-8"),
            # Without it the document counts as restricted and stays on your own machines.
            "sensitivity": "internal",
        }
        producer.produce(
            f"documents.{tenant}",
            key=document["document_id"],
            value=encode(document),
            on_delivery=lambda error, _: error and failed.append(error),
        )
    producer.flush()
    if failed:
        sys.exit(f"not published: {failed[0]}")
    print(f"{len(files)} published")


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
