"""Checks what the workspace depends on: licences, sources and crates are those of deny.toml, every dependency is used.

    python3 tools/dependencies.py

A dependency counts as used where its name stands in a source of the crate (src, tests, benches, build.rs); one that
is named for its features alone says so beside its line in the manifest: `# features only`.
"""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import deny

ROOT = Path(__file__).resolve().parents[1]


def metadata(*arguments: str) -> dict:
    command = ["cargo", "metadata", "--format-version=1", "--locked", *arguments]
    return json.loads(
        subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    )


def unused(package: dict) -> list[str]:
    """Dependencies of a crate whose names stand nowhere in its sources."""
    manifest = Path(package["manifest_path"])
    folder = manifest.parent
    files = [
        path for part in ("src", "tests", "benches") for path in (folder / part).rglob("*.rs")
    ] + list(folder.glob("build.rs"))
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    lines = manifest.read_text(encoding="utf-8").splitlines()
    problems = []
    for dependency in package["dependencies"]:
        name = dependency["rename"] or dependency["name"]
        excused = any(re.match(rf"{re.escape(name)}\b.*# features only", line) for line in lines)
        if not excused and not re.search(rf"\b{name.replace('-', '_')}\b", text):
            problems.append(f"{package['name']}: {name} is not used ({manifest.relative_to(ROOT)})")
    return problems


def main() -> int:
    rules = deny.rules((ROOT / "deny.toml").read_text(encoding="utf-8"))
    everything = metadata("--all-features")
    members = set(everything["workspace_members"])
    own = [package for package in everything["packages"] if package["id"] in members]
    others = [package for package in everything["packages"] if package["id"] not in members]
    locked = tomllib.loads((ROOT / "Cargo.lock").read_text(encoding="utf-8"))["package"]
    problems = deny.licence_problems(rules, others)
    problems += deny.source_problems(locked, {package["name"] for package in own})
    problems += deny.ban_problems(rules, locked)
    for package in own:
        problems += unused(package)
        for dependency in package["dependencies"]:
            if dependency["registry"]:
                problems.append(f"{package['name']}: {dependency['name']} is of another registry")
        if not package["description"]:
            problems.append(f"{package['name']}: has no description")
    print(
        "\n".join(sorted(problems))
        or f"{len(others)} dependencies: licences, sources and crates allowed, all used"
    )
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
