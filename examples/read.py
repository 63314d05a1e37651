"""Prints each outcome once, as JSON lines: python3 read.py BROKERS [HOW_MANY]"""

import io
import json
import sys
from pathlib import Path

import fastavro
from confluent_kafka import Consumer

SCHEMA = fastavro.parse_schema(
    json.loads((Path(__file__).resolve().parents[1] / "schemas/avro/outcome/v1.avsc").read_text())
)


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
    count = 0
    while how_many is None or count < how_many:
        record = consumer.poll(1.0)
        if record is None or record.error():
            continue
        # An outcome that was published before: its document came again, unchanged.
        if any(name == "precis-repeat" for name, _ in record.headers() or []):
            continue
        outcome = fastavro.schemaless_reader(io.BytesIO(record.value()[10:]), SCHEMA, None)
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
