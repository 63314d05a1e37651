"""Packages from PyPI, pinned by SHA-256 and cached."""

import hashlib
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

# Everything that loadtest/ fetches or builds lies below.
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "precis"


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
    return cached(f"{name}-*.whl", sha256, cache) or download(
        requirement, ["--only-binary", ":all:"], sha256, cache
    )


def source(name: str, version: str, sha256: str, cache: Path) -> Path:
    """A source package. pip asks its set-up script for its name, but only after its digest was the pinned one."""
    path = cached(f"{name.replace('-', '_')}-{version}.tar.gz", sha256, cache)
    return path or download(f"{name}=={version}", ["--no-binary", name], sha256, cache)


def download(requirement: str, options: list[str], sha256: str, cache: Path) -> Path:
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        wanted = Path(folder) / "requirements.txt"
        wanted.write_text(f"{requirement} --hash=sha256:{sha256}\n", encoding="utf-8")
        target = Path(folder) / "files"
        pip = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--require-hashes",
            *options,
            "--dest",
            target,
            "--requirement",
            wanted,
        ]
        subprocess.run(pip, check=True)
        return accept(next(target.iterdir()), sha256, cache)


def environment(name: str, requirements: Path) -> Path:
    """The Python of a virtual environment with these pinned packages, made once for each content of the file."""
    folder = CACHE / f"{name}-venv-{digest(requirements)[:12]}"
    if not (folder / "done").exists():
        venv.create(folder, with_pip=True, clear=True)
        pinned = ["--require-hashes", "--no-deps", "--only-binary", ":all:", "-r", requirements]
        subprocess.run([folder / "bin/pip", "install", "--quiet", *pinned], check=True)
        (folder / "done").touch()
    return folder / "bin/python"
