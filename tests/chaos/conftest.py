"""Where the modules of these tests lie: here, in the harness, and with the end-to-end tests."""

import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / folder) for folder in ("chaos", "harness", "e2e")]
