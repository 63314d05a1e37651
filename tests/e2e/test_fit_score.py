"""The weights of the score, fitted from outcomes: what went in comes out, and the policy takes it."""

import json
import math
import random
import subprocess
import sys
import tomllib
from pathlib import Path

import processes

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tools/fit-score.py"
TRUE = {
    "length": -1.5,
    "digits": -8.0,
    "names": 0.0,
    "noise": -3.0,
    "long_sentences": 0.0,
    "not_english": -0.5,
}


def outcomes(count, tier="gpu"):
    """Rows as `precis results --json` prints them, of documents that follow the true weights."""
    chance = random.Random(7)
    for number in range(count):
        features = {
            "length": chance.random(),
            "digits": 0.3 * chance.random(),
            "names": chance.random(),
            "noise": 0.2 * chance.random(),
        }
        features |= {
            "long_sentences": chance.random(),
            "not_english": float(chance.random() < 0.3),
            "rank": 0.5,
        }
        exponent = 2.0 + sum(TRUE[name] * value for name, value in features.items() if name in TRUE)
        accepted = chance.random() < 1.0 / (1.0 + math.exp(-exponent))
        routing = {
            "document_type": ["", "table"][number % 4 == 0],
            "features": features,
            "score": 0.5,
            "first_tier": tier,
            "accepted": accepted,
        }
        yield json.dumps({"document": str(number), "routing": routing})


def fit(rows, *arguments):
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(
        command, input="\n".join(rows), text=True, capture_output=True, check=False
    )


def test_weights_behind_outcomes_are_found(tmp_path):
    """The weights behind the outcomes are found, and the policy takes them."""
    found = fit(outcomes(20_000))
    assert found.returncode == 0, found.stderr
    score = tomllib.loads(found.stdout)["score"]
    assert abs(score["bias"] - 2.0) < 0.3
    for name, weight in TRUE.items():
        assert abs(score["weights"][name] - weight) < 0.15 * abs(weight) + 0.25, (
            name,
            score["weights"],
        )
    assert set(score["types"]) == {"table"}
    policy = tmp_path / "policy.toml"
    policy.write_text((ROOT / "infra/policy/local.toml").read_text() + found.stdout)
    checked = subprocess.run(
        [processes.binary("precis"), "policy", "check", str(policy)],
        text=True,
        capture_output=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr


def test_too_few_or_foreign_outcomes_give_no_weights():
    """Too few outcomes, and those of other tiers, give no weights."""
    for rows in (outcomes(200), outcomes(2_000, tier="mid")):
        found = fit(rows)
        assert found.returncode == 1 and not found.stdout
        assert "a fit needs 300" in found.stderr
