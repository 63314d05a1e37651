"""What make would run, without running it."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEFAULT = "smollm2-135m-instruct"


def recipe(*arguments: str) -> list[str]:
    """The commands of `make demo` that call precis, split into words."""
    env = {
        name: value
        for name, value in os.environ.items()
        if name not in {"MODEL", "DEMO_OUT", "MAKEFLAGS"}
    }
    command = ["make", "--dry-run", "--no-print-directory", "demo", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=env, check=True, capture_output=True, text=True)
    lines = [line.split() for line in done.stdout.splitlines()]
    return [line[1:] for line in lines if line and line[0].endswith("/release/precis")]


def test_demo_uses_the_settings_model_and_state():
    assert recipe() == [
        ["models", "pull"],
        ["summarize", "tests/documents", "--out", "demo-out"],
    ]


@pytest.mark.parametrize("model", [DEFAULT, "qwen2.5-coder-0.5b-instruct"])
def test_demo_of_another_model_keeps_its_results_apart(model):
    """Documents that one model has settled would come from the store for the next one."""
    out = f"demo-out-{model}"
    assert recipe(f"MODEL={model}") == [
        ["models", "pull", model],
        ["summarize", "tests/documents", "--out", out, "--model", model, "--state", f"{out}/state"],
    ]
