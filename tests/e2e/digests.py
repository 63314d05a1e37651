"""The digests that an outcome and routed work carry, computed a second time from what was published, and the proof of routed work.

By the text of `services/shared/pipeline/src/identity.rs`, in another language: SHA-256 over fields, each behind its length in eight
big-endian bytes; a field that is absent is a length of all ones. Defaults are those of the schema.
"""

import hashlib
import hmac
import unicodedata

ABSENT = b"\xff" * 8


def hashed(*fields: str | None) -> str:
    digest = hashlib.sha256()
    for field in fields:
        data = (field or "").encode()
        digest.update(ABSENT if field is None else len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def request_options(document: dict) -> list[str | None]:
    words = document.get("max_words")
    return [
        document.get("instruction"),
        None if words is None else str(words),
        document.get("output_language"),
        document.get("format", "paragraph"),
    ]


def request_digest(document: dict) -> str:
    """All that the publisher asked for."""
    body = document.get("body")
    content = body["sha256"] if body else sha256(document["text"].encode())
    critical = "critical" if document.get("critical") else ""
    return hashed(
        "precis request digest 1",
        content,
        document.get("document_type", ""),
        document.get("content_type", "text/plain"),
        document.get("sensitivity"),
        document.get("residency"),
        document.get("language"),
        document.get("title"),
        critical,
        document.get("reference"),
        *request_options(document),
    )


def request_fingerprint(tenant: str, document: dict, text: str) -> str:
    """What determines an answer; `text` is what the document says, wherever it lies."""
    return hashed(
        "precis request fingerprint 1",
        tenant,
        document.get("residency"),
        document.get("document_type", ""),
        document.get("language"),
        sha256(normalised(text).encode()),
        *request_options(document),
    )


def normalised(text: str) -> str:
    return "".join(
        line.rstrip() + "\n" for line in unicodedata.normalize("NFC", text).strip().split("\n")
    )


def body_key(tenant: str, document_id: str, revision: int, digest: str) -> str:
    """Where the body of a document lies that does not fit its message."""
    hashed_id = sha256(document_id.encode())
    return f"bodies/{tenant}/{hashed_id[:2]}/{hashed_id}.r{revision}.{digest}"


def proof(key: bytes, topic: str, value: bytes | None) -> bytes:
    """The header `precis-proof` of a record, by the text of `proof.rs` beside `identity.rs`; `key` is the object `keys/routing`."""
    fields = [b"precis routing proof 1", topic.encode(), *([] if value is None else [value])]
    digest = hashlib.sha256(b"".join(len(field).to_bytes(8, "big") + field for field in fields))
    first = bytes.fromhex(key.split()[0].decode())
    return hmac.new(first, digest.digest(), hashlib.sha256).hexdigest().encode()
