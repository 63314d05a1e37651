"""Format and lints of all Python, by the ruff of the tests' environment: python3 tools/python.py [--fix]"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "harness"))

import provision  # noqa: E402


def main() -> int:
    ruff = str(provision.python_environment() / "bin" / "ruff")
    fix = "--fix" in sys.argv[1:]
    commands = [["check", *(["--fix"] if fix else [])], ["format", *([] if fix else ["--check"])]]
    return max(
        subprocess.run([ruff, *command, "."], cwd=ROOT, check=False).returncode
        for command in commands
    )


if __name__ == "__main__":
    sys.exit(main())
