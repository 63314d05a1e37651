"""What a kind of bad input is: the records that an outside client publishes, and how they must end. The kinds are in `poison.py`."""

import hashlib
import time
from dataclasses import dataclass, field

import notes
import wire

TENANT = "acme"
TOPIC = f"documents.{TENANT}"
ANSWERED = "answered"


@dataclass(frozen=True)
class End:
    """How a kind must end: one outcome for each identity, dead letters with these codes, repeats."""

    status: str | None = None
    code: str | None = None
    letters: tuple[str, ...] = ()
    repeats: int = 0


def failed(code: str) -> End:
    """Settled as failed, and a dead letter with the raw bytes."""
    return End("failed", code, (code,))


def dead(*codes: str) -> End:
    """A dead letter alone: there is no identity that could be settled."""
    return End(letters=codes)


ANSWER = End(ANSWERED)
# No tier is left: an outcome, and no dead letter, since the document is none of a bad kind.
NO_TIER = End("failed", "no_eligible_tier")


@dataclass(frozen=True)
class Sent:
    """One record. Each also carries the kind's name as the header `kind`, by which its dead letter is found."""

    value: bytes | None
    key: bytes | None = None
    headers: tuple = ()
    topic: str = TOPIC
    timestamp_ms: int | None = None
    # Written by somebody who has the deployment's key of routed work.
    proved: bool = False


@dataclass(frozen=True)
class Kind:
    """One kind of bad input."""

    name: str
    end: End
    sent: tuple[Sent, ...]
    # Identities that must end as `end.status`.
    ids: tuple[tuple[str, int], ...] = ()
    objects: dict[str, bytes] = field(default_factory=dict)
    # Only Kafka lets a publisher do it.
    kafka_only: bool = False


KINDS: list[Kind] = []


def kind(name: str, end: End, *sent: Sent, ids=(), **more) -> None:
    KINDS.append(Kind(name, end, sent, tuple(ids), **more))


def document(name: str, **fields) -> dict:
    """An ordinary document but for these fields; its text is its own, so that no answer comes from the cache."""
    text = f"{notes.ANSWER} This is about {name.replace('_', ' ')}."
    return {
        "document_id": f"poison-{name}",
        "submitted_at": int(time.time() * 1000),
        "text": text,
        "language": "en",
        "max_words": notes.MAX_WORDS,
        "sensitivity": "public",
    } | fields


def encode(record: dict) -> bytes:
    return wire.schema("document").encode(record)


def doc(
    name: str,
    end: End,
    headers: tuple = (),
    key: bytes | None = b"k",
    kafka_only: bool = False,
    timestamp_ms: int | None = None,
    **fields,
) -> None:
    """A kind that is one document with these fields."""
    record = document(name, **fields)
    ids = [(record["document_id"], record.get("revision", 0))] if end.status else []
    kind(
        name,
        end,
        Sent(encode(record), key, headers, timestamp_ms=timestamp_ms),
        ids=ids,
        kafka_only=kafka_only,
    )


def raw(
    name: str, code: str, value: bytes | None, topic: str = TOPIC, proved: bool = False
) -> None:
    """A kind that is no document at all."""
    kind(name, dead(code), Sent(value, b"k", topic=topic, proved=proved))


def swapped(name: str, left: dict, right: dict, byte: int) -> bytes:
    """The first record, with this byte where the two begin to differ: for values that no library would write."""
    one, other = encode(document(name, **left)), encode(document(name, **right))
    at = next(index for index, (a, b) in enumerate(zip(one, other)) if a != b)
    return one[:at] + bytes([byte]) + one[at + 1 :]


def body(name: str, end: End, stored: bytes | None, **reference) -> None:
    """A kind whose text lies in the object store, with a reference that may lie."""
    digest = hashlib.sha256(stored or b"").hexdigest()
    key = f"bodies/{TENANT}/{digest[:2]}/{hashlib.sha256(name.encode()).hexdigest()}.r0.{digest}"
    told = {"key": key, "sha256": digest, "size_bytes": len(stored or b"")} | reference
    record = document(name, text=None, body=told)
    kind(
        name,
        end,
        Sent(encode(record), b"k"),
        ids=[(record["document_id"], 0)],
        objects={} if stored is None else {key: stored},
    )
