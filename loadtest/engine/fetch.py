"""Packages from PyPI, pinned by SHA-256 and cached."""

import hashlib
import json
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def accept(path: Path, sha256: str, cache: Path) -> Path:
    """Moves a file that is the pinned one into the cache."""
    if (found := digest(path)) != sha256:
        raise SystemExit(f"{path.name} has sha256 {found} instead of the pinned {sha256}")
    return path.rename(cache / path.name)


def cached(pattern: str, sha256: str, cache: Path) -> Path | None:
    cache.mkdir(parents=True, exist_ok=True)
    return next((path for path in cache.glob(pattern) if digest(path) == sha256), None)


def wheel(requirement: str, sha256: str, cache: Path) -> Path:
    name = requirement.split("==")[0].replace("-", "_")
    if path := cached(f"{name}-*.whl", sha256, cache):
        return path
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest", folder]
        subprocess.run([*pip, requirement], check=True)
        return accept(next(Path(folder).iterdir()), sha256, cache)


def source(name: str, version: str, sha256: str, cache: Path) -> Path:
    """A source package. Not by pip, which would run its set-up script to ask for a version that it gets wrong."""
    if path := cached(f"{name.replace('-', '_')}-{version}.tar.gz", sha256, cache):
        return path
    with urllib.request.urlopen(f"https://pypi.org/pypi/{name}/{version}/json", timeout=60) as answer:
        file = next(file for file in json.load(answer)["urls"] if file["packagetype"] == "sdist")
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        path = Path(folder) / file["filename"]
        with urllib.request.urlopen(file["url"], timeout=600) as answer:
            path.write_bytes(answer.read())
        return accept(path, sha256, cache)
