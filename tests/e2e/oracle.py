"""What must hold at the end of every test, however many processes died on the way.

1. Every acknowledged document has exactly one outcome on `summaries` that is not marked as a repeat, in the view of a reader of
   committed records.
2. Nothing else is there: no outcome of a document that nobody published.
3. The store holds exactly one result for each document, and its bytes are the bytes of the record, repeats included.
4. Every record decodes with the schema it names.
"""

from collections import Counter

import wire

Identity = tuple[str, str, int]


def identity(outcome: dict) -> Identity:
    return outcome["tenant"], outcome["document_id"], outcome["revision"]


def is_repeat(record) -> bool:
    return record.header("precis-repeat") == b"true"


def outcomes(records) -> list[tuple[dict, object]]:
    """Outcomes with their records, in the topic's order."""
    schema = wire.schema("outcome")
    for record in records:
        named = record.header("precis-schema")
        assert named == schema.header.encode(), (
            f"record {record.topic}/{record.partition}/{record.offset} names schema {named}"
        )
    return [(schema.decode(record.value), record) for record in records]


def first_outcomes(records) -> dict[Identity, dict]:
    """The outcome of each document so far; repeats left out."""
    return {
        identity(outcome): outcome for outcome, record in outcomes(records) if not is_repeat(record)
    }


def settled(count: int):
    """For readers that wait: whether so many documents have their outcome."""
    return lambda records: len(first_outcomes(records)) >= count


def assert_each_exactly_once(
    published: set[Identity], records, results: list[bytes], repeats: int = 0
) -> dict[Identity, dict]:
    """Asserts all of the above and returns the outcomes by identity.

    `published`: what the log acknowledged and did not dead-letter. `records`: all of `summaries`. `results`: every object under results/.
    """
    decoded = outcomes(records)
    firsts = [(identity(outcome), record) for outcome, record in decoded if not is_repeat(record)]
    times = Counter(who for who, _ in firsts)
    missing, strangers = published - times.keys(), times.keys() - published
    twice = {who: count for who, count in times.items() if count > 1}
    assert not missing, (
        f"{len(missing)} of {len(published)} documents without an outcome, such as {sorted(missing)[:3]}"
    )
    assert not twice, (
        f"{len(twice)} documents with more than one outcome, such as {sorted(twice.items())[:3]}"
    )
    assert not strangers, f"outcomes of documents that nobody published: {sorted(strangers)[:3]}"
    assert len(decoded) - len(firsts) == repeats, (
        f"{len(decoded) - len(firsts)} repeats, expected {repeats}"
    )

    schema = wire.schema("outcome")
    stored: dict[Identity, bytes] = {}
    for data in results:
        who = identity(schema.decode(data))
        assert who not in stored, f"two results for {who}"
        stored[who] = data
    assert stored.keys() == published, (
        f"store and topic disagree on {sorted(stored.keys() ^ published)[:3]}"
    )
    for outcome, record in decoded:
        assert record.value == stored[identity(outcome)], (
            f"store and topic differ for {identity(outcome)}"
        )
    return {identity(outcome): outcome for outcome, _ in decoded}
