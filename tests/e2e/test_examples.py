"""The programs and files of examples/ do what they say."""

import json
import subprocess
import sys
from pathlib import Path

import servers
from deployment import API
from processes import binary

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
TEXT = "The harbour of Aldmoor was closed on Monday, since a storm had damaged its northern pier. It opens again on Friday."


def run(*command: str | Path) -> str:
    done = subprocess.run(
        list(map(str, command)),
        env=servers.environment({}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_published_files_are_read_as_outcomes(kafka_deployment, llmock, tmp_path):
    deployment = kafka_deployment(API, llmock=llmock)
    deployment.start("precis-router")
    deployment.start("precis-api-worker")
    letters = [tmp_path / f"letter-{number}.txt" for number in range(3)]
    for number, letter in enumerate(letters):
        letter.write_text(f"{TEXT} This is letter {number}.", encoding="utf-8")
    assert (
        run(sys.executable, EXAMPLES / "publish.py", deployment.kafka.brokers, "acme", *letters)
        == "3 published\n"
    )
    outcomes = [
        json.loads(line)
        for line in run(
            sys.executable, EXAMPLES / "read.py", deployment.kafka.brokers, "3"
        ).splitlines()
    ]
    assert {outcome["document_id"] for outcome in outcomes} == {letter.name for letter in letters}
    assert all(
        outcome["tenant"] == "acme" and outcome["status"] in {"answered", "flagged"}
        for outcome in outcomes
    )


def test_settings_and_policy_pass_their_checks():
    precis = binary("precis")
    for settings in ("one-machine.toml", "kafka-and-s3.toml"):
        run(precis, "config", "check", "--config", EXAMPLES / settings)
    for policy in sorted(EXAMPLES.glob("policy-*.toml")):
        run(precis, "policy", "check", policy)
    for policy in sorted((EXAMPLES.parent / "infra/policy").glob("*.toml")):
        run(precis, "policy", "check", policy)
