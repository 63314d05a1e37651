"""The two engines behind one face: each measures a figure and answers with the same few numbers."""

import json
import os
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Result:
    """Tokens (or documents) a second and what they took."""

    rate: float
    tokens_per_cpu_second: float
    wall_seconds: float
    peak_rss_mib: float
    output_tokens: int
    details: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Figure:
    """One row of the table."""

    name: str
    kind: str  # documents, prefill or decode
    prompts: Path
    batch: int = 1
    context: int = 0
    new_tokens: int = 1
    natural: bool = False
    # Answers end at the first blank line too, as the workers' paragraphs do; the peer has no such rule.
    paragraph: bool = False

    def result(self, measured: dict, peak_rss_mib: float) -> Result:
        tokens = measured.get("input_tokens", 0) + measured["output_tokens"]
        amount = {
            "documents": measured.get("documents", 0) * 60,
            "prefill": measured.get("input_tokens", 0),
            "decode": measured["output_tokens"],
        }
        wall, cpu = measured["wall_seconds"], measured["cpu_seconds"] or float("nan")
        return Result(
            amount[self.kind] / wall, tokens / cpu, wall, peak_rss_mib, measured["output_tokens"]
        )


def ended(returncode: int) -> str:
    """How a process ended that did not end well."""
    if returncode < 0:
        return f"ended by signal {-returncode} ({signal.Signals(-returncode).name})"
    return f"exit status {returncode}"


def answer(command: list, environment: dict | None = None) -> dict:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, env=environment
    )
    if done.returncode:
        said = done.stderr.strip()[-2000:] or "nothing on stderr"
        raise RuntimeError(f"{' '.join(map(str, command))}: {ended(done.returncode)}: {said}")
    return json.loads(done.stdout.splitlines()[-1])


class Peer:
    """llama.cpp with settings of its own for each figure."""

    def __init__(self, program: Path, weights: dict[str, Path], threads: int):
        self.program, self.weights, self.threads = program, weights, threads

    def command(self, task: str, prompts: Path, settings: dict, **options) -> list:
        settings = {**settings, **options, "threads": self.threads}
        command = [self.program, task, self.weights[settings.pop("weights")], prompts]
        return command + [part for name, value in settings.items() for part in (f"--{name}", value)]

    def decode(self, prompts: Path, settings: dict, **options) -> dict:
        return answer(self.command("decode", prompts, settings, **options))

    def measure(self, figure: Figure, settings: dict) -> Result:
        if figure.kind == "decode":
            found = self.decode(
                figure.prompts, settings, context=figure.context, new=figure.new_tokens
            )
            return figure.result(found["decode"][0], found["peak_rss_mib"])
        found = answer(
            self.command(
                "documents",
                figure.prompts,
                settings,
                new=figure.new_tokens,
                natural=int(figure.natural),
            )
        )
        return figure.result(found, found["peak_rss_mib"])


class Precis:
    """`precis bench` with the settings that its workers have."""

    def __init__(self, program: Path, threads: int, isa: str, batch: int):
        self.program, self.threads, self.batch = program, threads, batch
        self.environment = dict(os.environ)
        if isa != "native":
            self.environment["PRECIS_GPU_WORKER__ENGINE__ISA"] = isa

    def run(self, *arguments) -> dict:
        return answer(
            [self.program, "bench", *arguments, "--threads", self.threads, "--json"],
            self.environment,
        )

    def measure(self, figure: Figure) -> Result:
        arguments = ["--prompts", figure.prompts, "--new-tokens", figure.new_tokens]
        if figure.kind == "decode":
            arguments += [
                "--scenario",
                "decode",
                "--batch",
                figure.batch,
                "--context",
                figure.context,
            ]
        else:
            arguments += (
                ["--scenario", "documents", "--batch", self.batch]
                + ["--natural"] * figure.natural
                + ["--paragraph"] * figure.paragraph
            )
        found = self.run(*arguments)
        result = figure.result(found["measured"], (found["peak_rss_bytes"] or 0) / 2**20)
        result.details = {"kv_mib": found["kv_bytes"] / 2**20, "steps": found["measured"]["steps"]}
        return result
