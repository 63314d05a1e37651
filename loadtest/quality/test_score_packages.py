"""Our scores against the Python packages themselves, beyond the kept corpus."""

import subprocess
import sys
from pathlib import Path

import pytest

SCORES = Path(__file__).resolve().parent / "scores.py"


@pytest.mark.parametrize("seed", [1, 2])
def test_scores_are_those_of_rouge_score_and_sacrebleu(seed):
    """Documents in English and French, odd characters, made-up words: every figure is equal to 1e-12."""
    command = [sys.executable, str(SCORES), "--pairs", "800", "--seed", str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
