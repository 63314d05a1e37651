"""A provider that fails as providers do: OpenAI's Chat Completions with faults of our own, each for a period.

Every answer is another: it begins with the document's first words, so that it can be told whose it is, and ends with a number
that no other answer has, so that a document answered twice cannot hide. Asked to judge a summary, it gives the numbers that it is
asked for, or, now and then, something that is no verdict.
"""

import asyncio
import json
import re
from collections import Counter
from dataclasses import dataclass
from random import Random

import http_messages as http
from http_server import HttpServer
from loop import Loop

DOCUMENT = re.compile(r"<document-[0-9a-f]+>\n(.*)\n</document-[0-9a-f]+>", re.DOTALL)
SUMMARY = re.compile(r"<summary-[0-9a-f]+>\n(.*)\n</summary-[0-9a-f]+>", re.DOTALL)
MAX_WORDS = re.compile(r"at most (\d+) words")
SHARE = 0.7
SILENT_SECONDS = 60
# Of a judge's answers, those that nobody can read. A judge is asked twice, so an evaluation ends for it in the square of this share.
UNREADABLE_SHARE = 0.25
CRITERIA = ("faithfulness", "coverage", "coherence", "conciseness")
UNREADABLE = ("It is a good summary.", "{}", '{"faithfulness": 9}', '```json\n{"coverage": 3}\n```')


@dataclass(frozen=True)
class Asked:
    """One request: for which document (its first word), which attempt of the ledger, whether it was answered in full, and which summary
    is to be judged, where one is."""

    marker: str
    attempt_id: str
    answered: bool
    summary: str | None = None

    @property
    def purpose(self) -> str:
        """What the ledger calls it."""
        return "production" if self.summary is None else "evaluation"


class Provider(HttpServer):
    """`mode` is the fault that reigns, empty for none; `asked` is everything that left the network."""

    def __init__(self, loop: Loop, seed: int):
        self.random = Random(f"precis chaos provider 1 {seed}")
        self.mode = ""
        self.counts: Counter[str] = Counter()
        self.asked: list[Asked] = []
        super().__init__(loop)

    async def answer(
        self, request: http.Message, writer: asyncio.StreamWriter
    ) -> http.Message | None:
        asked = json.loads(request.body)
        prompt = asked["messages"][-1]["content"]
        text = DOCUMENT.search(prompt).group(1)
        judged = SUMMARY.search(prompt)
        hit = self.mode if self.random.random() < SHARE else ""
        self.counts[hit or "answered"] += 1
        marker, attempt = text.split(maxsplit=1)[0], request.get("x-client-request-id") or ""
        self.asked.append(Asked(marker, attempt, not hit, judged and judged.group(1)))
        said = self.verdict(judged.group(1)) if judged else summary(text, prompt, len(self.asked))
        if not hit:
            return self.completion(asked["model"], said)
        return await getattr(self, f"fail_{hit}")(asked["model"], said, writer)

    def verdict(self, judged: str) -> str:
        """What a judge says of a summary: it may quote it, as judges do."""
        if self.random.random() < UNREADABLE_SHARE:
            return self.random.choice(UNREADABLE)
        numbers = {criterion: self.random.randint(1, 5) for criterion in CRITERIA}
        claims = [judged] if self.random.random() < 0.5 else []
        return json.dumps(
            numbers | {"unsupported_claims": claims, "remark": f"verdict {len(self.asked)}"}
        )

    async def fail_429(self, *_) -> http.Message:
        return http.response(
            429, error("rate_limit_exceeded"), retry_after=self.random.choice(["1", "2"])
        )

    async def fail_500(self, *_) -> http.Message:
        return http.response(500, error("server_error"))

    async def fail_529(self, *_) -> http.Message:
        return http.response(529, error("overloaded"))

    async def fail_garbage(self, *_) -> http.Message:
        return http.response(
            200,
            self.random.choice(
                [b"<html>hello</html>", b"\xff\x00\x01", b'{"choices":[]}', b"", b"null"]
            ),
        )

    async def fail_half(self, model: str, said: str, writer: asyncio.StreamWriter) -> None:
        whole = self.completion(model, said)
        writer.write(whole.head() + whole.body[: len(whole.body) // 2])
        await writer.drain()

    async def fail_silent(self, *_) -> None:
        await asyncio.sleep(SILENT_SECONDS)

    @staticmethod
    def completion(model: str, text: str) -> http.Message:
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": text},
            "finish_reason": "stop",
        }
        usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
        body = {
            "id": "chatcmpl-chaos",
            "object": "chat.completion",
            "created": 1,
            "model": model,
            "choices": [choice],
            "usage": usage,
        }
        return http.response(200, json.dumps(body).encode(), x_request_id="chaos")

    def restricted(self, markers: set[str]) -> list[str]:
        """Of these documents, those that reached the provider."""
        return sorted(markers & {asked.marker for asked in self.asked})


def summary(text: str, prompt: str, number: int) -> str:
    """The document's first words within the words asked for, and the number."""
    found = MAX_WORDS.search(prompt)
    room = max(1, (int(found.group(1)) if found else 60) - 2)
    return " ".join([*text.split()[: min(room, 12)], f"answer {number}."])


def error(code: str) -> bytes:
    return json.dumps(
        {"error": {"type": code, "code": code, "message": "made up by the tests"}}
    ).encode()
