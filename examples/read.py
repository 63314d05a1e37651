"""Prints each outcome once, as JSON lines: python3 read.py BROKERS [HOW_MANY]"""

import io
import json
import sys
from pathlib import Path

import fastavro
from confluent_kafka import Consumer
from fastavro.schema import fingerprint, to_parsing_canonical_form

FILES = sorted((Path(__file__).resolve().parents[1] / "schemas/avro/outcome").glob("v*.avsc"))


def schemas() -> dict[bytes, dict]:
    """Every version of the outcome, by the fingerprint in a record's bytes 2 to 9."""
    all_versions = [json.loads(file.read_text()) for file in FILES]
    return {
        bytes.fromhex(
            fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO")
        ): fastavro.parse_schema(schema)
        for schema in all_versions
    }


def main(brokers: str, how_many: int | None) -> None:
    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": "example-reader",
            "auto.offset.reset": "earliest",
            # Outcomes of aborted transactions are not there for this reader.
            "isolation.level": "read_committed",
        }
    )
    consumer.subscribe(["summaries"])
    known = schemas()
    count = 0
    while how_many is None or count < how_many:
        record = consumer.poll(1.0)
        if record is None or record.error():
            continue
        # An outcome that was published before: its document came again, unchanged.
        if any(name == "precis-repeat" for name, _ in record.headers() or []):
            continue
        value = record.value()
        outcome = fastavro.schemaless_reader(io.BytesIO(value[10:]), known[value[2:10]], None)
        print(
            json.dumps(
                {
                    name: outcome[name]
                    for name in ("tenant", "document_id", "revision", "status", "summary")
                }
            )
        )
        count += 1
    consumer.close()


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) == 3 else None)
