"""Checks what the workspace depends on: every licence is one of those below, every dependency is used.

    python3 tools/dependencies.py

A dependency counts as used where its name stands in a source of the crate (src, tests, benches, build.rs); one that
is named for its features alone says so beside its line in the manifest: `# features only`.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Permissive, or of weak effect beyond the file: what Apache-2.0 may be shipped with.
ALLOWED = {
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "NCSA",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
    "bzip2-1.0.6",
}


def metadata(*arguments: str) -> dict:
    command = ["cargo", "metadata", "--format-version=1", "--locked", *arguments]
    return json.loads(
        subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    )


def is_allowed(expression: str) -> bool:
    """Whether a licence expression (SPDX) can be met by the allowed licences alone."""
    text = re.sub(r"\s*/\s*", " OR ", expression)
    tokens = re.findall(r"\(|\)|[^\s()]+", text)
    position = 0

    def either() -> bool:
        nonlocal position
        found = both()
        while position < len(tokens) and tokens[position] == "OR":
            position += 1
            found = both() or found
        return found

    def both() -> bool:
        nonlocal position
        found = one()
        while position < len(tokens) and tokens[position] == "AND":
            position += 1
            found = one() and found
        return found

    def one() -> bool:
        nonlocal position
        token = tokens[position]
        position += 1
        if token == "(":
            found = either()
            position += 1
            return found
        if position + 1 < len(tokens) and tokens[position] == "WITH":
            token += f" WITH {tokens[position + 1]}"
            position += 2
        return token in ALLOWED

    return either()


def licence_problems(packages: list[dict]) -> list[str]:
    problems = []
    for package in packages:
        licence = package["license"]
        if not licence or not is_allowed(licence):
            problems.append(
                f"{package['name']} {package['version']}: licence {licence or package['license_file'] or 'missing'} is not allowed"
            )
    return problems


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
    everything = metadata()
    members = set(everything["workspace_members"])
    problems = licence_problems(
        [package for package in everything["packages"] if package["id"] not in members]
    )
    for package in everything["packages"]:
        if package["id"] in members:
            problems += unused(package)
            if not package["description"]:
                problems.append(f"{package['name']}: has no description")
    print(
        "\n".join(sorted(problems))
        or f"{len(everything['packages']) - len(members)} dependencies: licences allowed, all used"
    )
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
