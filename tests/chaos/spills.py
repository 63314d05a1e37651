"""Whether anything that is meant for operators repeats a key of a provider, the key of routed work, or what a document says.

Where text belongs, and is not looked for: the values of `documents.*`, `returns`, `work.*`, `escalations`, `summaries`, `evaluations` (a judge quotes) and `dead-letters`
(but for what a dead letter, an outcome or an evaluation *says* went wrong), the objects under `bodies/`, `results/`, `evaluations/` and `cache/`, and requests to a provider. Keys belong
nowhere but in the provider's requests and in the object `keys/routing`. What is looked through: every line of every service's log, every series of every metrics page, keys
and headers of every record, messages of dead letters, outcomes and evaluations, and the values of all other topics.

A text is known again by its first word, which is its own, or by any of the sentences that these documents are made of.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import notes
import wire
from kafka import Record

HOLDS_TEXT = re.compile(
    r"documents\.|work\.|(returns|escalations|summaries|evaluations|dead-letters)$"
)
# First words of the documents, undecodable ones too; and what their sentences are made of.
MARKER = rb"chaos-\d{5}|record \d+ is no Avro"
SENTENCES = [notes.ANSWER, "to the people there until the evening", "In the morning a"]
EXAMPLES = 3
AROUND = 40


def spilled(
    said: Iterable[tuple[str, bytes]], keys: Iterable[str]
) -> Iterator[tuple[str, str, str]]:
    """For each place: what was found there (`key` or `text`) and where, with what stands around it."""
    keys = [key.encode() for key in keys]
    pattern = re.compile(
        b"|".join(
            [
                MARKER,
                *map(re.escape, keys),
                *(re.escape(sentence.encode()) for sentence in SENTENCES),
            ]
        )
    )
    for place, data in said:
        for found in pattern.finditer(data):
            what = "key" if found.group() in keys else "text"
            around = data[max(0, found.start() - AROUND) : found.end() + AROUND]
            yield what, place, around.decode(errors="replace")


def in_files(files: Iterable[Path]) -> Iterator[tuple[str, bytes]]:
    """Logs, line by line: an hour's are large."""
    for file in files:
        with file.open("rb") as lines:
            for line in lines:
                yield file.name, line


def in_topics(topics: dict[str, list[Record]]) -> Iterator[tuple[str, bytes]]:
    """Keys, headers, and every value that has no business with texts; of the others what they say went wrong."""
    for topic, records in topics.items():
        for record in records:
            place = f"{topic}/{record.partition}/{record.offset}"
            yield f"{place} key", record.key or b""
            # What a publisher wrote in there is its own, copies included.
            if not topic.startswith("documents.") and topic != "returns":
                yield (
                    f"{place} headers",
                    b"\0".join(
                        part
                        for name, value in record.headers
                        for part in (name.encode(), value or b"")
                    ),
                )
            if not HOLDS_TEXT.match(topic):
                yield f"{place} value", record.value or b""
            elif topic in MESSAGES and record.value:
                yield (
                    f"{place} message",
                    (wire.schema(MESSAGES[topic]).decode(record.value)["message"] or "").encode(),
                )


MESSAGES = {"dead-letters": "dead_letter", "summaries": "outcome", "evaluations": "evaluation"}
