"""Documents for the tests: short, all different, in plain words that a small model and a faulty provider can repeat safely."""

import time

# The stand-in for providers answers with this, and each note says it: no fact in the answer that is not in the source.
ANSWER = "The harbour opened early and the boats came home with fish."

MAX_WORDS = 25

NOUNS = "baker carpenter teacher gardener sailor farmer painter tailor miller fisherman".split()
PLACES = "market orchard library bridge meadow workshop garden lighthouse village station".split()
THINGS = "bread chairs books roses ropes apples pictures coats flour nets".split()
WEATHER = "rain sunshine wind fog snow frost thunder clouds warmth drizzle".split()


def text(number: int) -> str:
    """A text of about thirty words for each number up to 10,000."""
    digits = [number // 10**place % 10 for place in range(4)]
    return (
        f"{ANSWER} In the morning a {NOUNS[digits[0]]} walked through the {WEATHER[digits[1]]} to the {PLACES[digits[2]]} "
        f"and sold {THINGS[digits[3]]} to the people there until the evening."
    )


def note(number: int, **fields) -> dict:
    """A document as a publisher would write it."""
    return {
        "document_id": f"note-{number:04}",
        "submitted_at": int(time.time() * 1000),
        "text": text(number),
        "language": "en",
        "max_words": MAX_WORDS,
        "sensitivity": "public",
    } | fields
