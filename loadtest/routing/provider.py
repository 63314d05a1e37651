"""llmock as both providers, with answers that come from the documents: what `make load-routing` sends its paid documents to.

    python provider.py PORT

The wire formats, the token counts and the journal of requests are llmock's. Its own scripts cannot look into a request, so this module
gives it a scenario that does: the answer is the beginning of the document, at a stated rate spoilt, so that the checks have to find it;
a few documents find the provider overloaded first. Which those are is a function of the text, as with the faulty gpu-worker.

Beside llmock's own pages, `GET /_served` tells by model what was answered: requests and the tokens that their `usage` said, as it went out.
"""

import asyncio
import contextvars
import hashlib
import json
import re
import sys
from collections import Counter

import uvicorn
from llmock.journal import Journal
from llmock.main import create_app
from llmock.scenarios import Fail, Plan, Reply, ScenarioQueue

# By model: the shares of texts whose answer is wrong, and seconds that an answer takes.
ERRORS = {
    "claude-haiku-4-5": {"truncated": 0.02, "numbers": 0.03, "refusal": 0.005},
    "gpt-5.5": {"truncated": 0.005, "numbers": 0.01, "refusal": 0.002},
}
SECONDS = {"claude-haiku-4-5": 0.15, "gpt-5.5": 0.3}
# Share of texts that are turned away once before they are answered.
OVERLOADED = 0.003
REFUSAL = "I'm sorry, but I cannot summarise this text without more context."
# Words that the sentence with the invented number has, about.
INVENTION_WORDS = 8
JOURNAL = 100_000
# Longer than the api-worker keeps idle connections: a request on one that is closed just then is lost, and rightly counts as possibly billed.
KEEP_ALIVE_SECONDS = 300

DOCUMENT = re.compile(r"<document-[0-9a-f]+>\n(.*)\n</document-[0-9a-f]+>\n\n(.*)", re.DOTALL)
MAX_WORDS = re.compile(r"at most (\d+) words")


def chance(purpose: str, text: str) -> float:
    """A number between 0 and 1 that is the text's own."""
    return int(hashlib.sha256(f"{purpose} {text}".encode()).hexdigest()[:12], 16) / 2**48


def beginning(text: str, max_words: int) -> str:
    """The first sentences that have at most so many words together; where the first is longer, its first words."""
    words = text.split()[:max_words]
    ends = [at for at, word in enumerate(words) if word.endswith((".", "!", "?"))]
    return " ".join(words[: ends[-1] + 1]) if ends else " ".join(words) + "."


def answer(model: str, text: str, max_words: int) -> Reply:
    """What the model says of a text."""
    left = chance(model, text)
    for fault, rate in ERRORS[model].items():
        if left < rate:
            return spoilt(fault, text, max_words)
        left -= rate
    return Reply(beginning(text, max_words))


def spoilt(fault: str, text: str, max_words: int) -> Reply:
    if fault == "refusal":
        return Reply(REFUSAL)
    if fault == "truncated":
        words = beginning(text, max_words).split()
        return Reply(
            " ".join(words[: (len(words) + 1) // 2]).rstrip(".,;:!?"), finish_reason="length"
        )
    number = next(
        number
        for number in range(int(chance("number", text) * 8_000) * 10 + 10_007, 10**6, 10)
        if str(number) not in text
    )
    return Reply(
        f"{beginning(text, max_words - INVENTION_WORDS)} In all, they counted {number} cases."
    )


def asked_of(body: dict) -> tuple[str, int] | None:
    """The document in a request, and how many words are asked for."""
    found = DOCUMENT.search(str(body.get("messages", [{}])[-1].get("content", "")))
    return (found[1], int(MAX_WORDS.search(found[2])[1])) if found else None


class Answers(ScenarioQueue):
    """A scenario for every request, made of what the request says."""

    request = contextvars.ContextVar("request")

    def __init__(self):
        super().__init__()
        self.turned_away: set[str] = set()

    def plan_for(self, info) -> Plan:
        asked = asked_of(self.request.get())
        if asked is None or info.model not in ERRORS:
            return super().plan_for(info)
        text, max_words = asked
        if chance("overloaded", text) < OVERLOADED and text not in self.turned_away:
            self.turned_away.add(text)
            return Plan(fail=Fail(529, retry_after=0.5))
        return Plan(reply=answer(info.model, text, max_words))


class Provider:
    """llmock's application, told what each request says before it answers, and counted as it answers."""

    def __init__(self):
        self.app = create_app()
        self.app.state.llmock.scenarios = Answers()
        self.app.state.llmock.journal = Journal(JOURNAL)
        self.served: dict[str, Counter] = {}

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "http" and scope["path"] == "/_served":
            await reply(send, self.served)
        elif (
            scope["type"] == "http"
            and scope["method"] == "POST"
            and not scope["path"].startswith("/_")
        ):
            await self.complete(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def complete(self, scope, receive, send) -> None:
        raw, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            raw, more = raw + message.get("body", b""), message.get("more_body", False)
        body = json.loads(raw)
        Answers.request.set(body)
        await asyncio.sleep(SECONDS.get(body.get("model"), 0))
        waiting = [{"type": "http.request", "body": raw, "more_body": False}]
        answered = {"status": 0, "body": b""}

        async def once():
            return waiting.pop() if waiting else await receive()

        async def watched(message):
            answered["status"] = message.get("status", answered["status"])
            answered["body"] += message.get("body", b"")
            if (
                message["type"] == "http.response.body"
                and not message.get("more_body")
                and answered["status"] == 200
            ):
                self.count(body["model"], json.loads(answered["body"])["usage"])
            await send(message)

        await self.app(scope, once, watched)

    def count(self, model: str, usage: dict) -> None:
        read, written = (
            ("prompt_tokens", "completion_tokens")
            if "prompt_tokens" in usage
            else ("input_tokens", "output_tokens")
        )
        self.served.setdefault(model, Counter()).update(
            requests=1, input_tokens=usage[read], output_tokens=usage[written]
        )


async def reply(send, value) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", b"application/json")],
        }
    )
    await send({"type": "http.response.body", "body": json.dumps(value).encode()})


if __name__ == "__main__":
    uvicorn.run(
        Provider(),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        log_level="warning",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
