"""What the tests need besides a compiler: Kafka's jars and a Python environment, cached between runs.

Both are made beside their place and renamed into it, so that an interrupted run leaves nothing half made and
two runs at once do not spoil each other. Each folder carries a digest of what it was made from: a changed pom or
requirement makes a new one. What is fetched is pinned by digest, and nothing is built from source packages. Standard
library only: this runs before the environment exists.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
CACHE = Path(os.environ.get("PRECIS_CACHE_DIR") or Path.home() / ".cache" / "precis")


def digest(*parts: bytes) -> str:
    """The first 12 hexadecimal digits: enough to tell versions apart, short enough for a folder's name."""
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


def kafka_jars() -> Path:
    """The folder with the jars of a Kafka broker, fetched by Maven when missing; each is one of jars.sha256."""
    pom = TESTS / "harness" / "kafka" / "pom.xml"
    pins = pom.with_name("jars.sha256")

    def fetch(target: Path) -> None:
        run(
            [
                "mvn",
                "--batch-mode",
                "--quiet",
                "--strict-checksums",
                "--file",
                str(pom),
                "dependency:copy-dependencies",
                "-DincludeScope=runtime",
                f"-DoutputDirectory={target}",
            ]
        )
        if problems := unpinned(target, pins.read_text(encoding="utf-8")):
            sys.exit("the jars of Kafka are not the pinned ones:\n" + "\n".join(problems))

    return made_once(CACHE / f"kafka-{digest(pom.read_bytes(), pins.read_bytes())}", fetch)


def unpinned(folder: Path, pins: str) -> list[str]:
    """Files of a folder that are not those of a list as sha256sum writes it: others, missing and additional ones."""
    wanted = {
        name: sha256 for sha256, name in (line.split(maxsplit=1) for line in pins.splitlines())
    }
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    return [
        f"{name}: sha256 {found.get(name, 'none: it is missing')}, pinned {wanted.get(name, 'none: it is not in the list')}"
        for name in sorted(wanted | found)
        if found.get(name) != wanted.get(name)
    ]


def python_environment() -> Path:
    """The folder of a virtual environment that holds tests/requirements.txt, made by pip when missing, of wheels alone.

    Debian's Python refuses pip outside of one; and a broken machine-wide package cannot spoil a test.
    """
    requirements = TESTS / "requirements.txt"
    # The interpreter below any virtual environment: asked from inside of the one made here, the answer is the same.
    interpreter = getattr(sys, "_base_executable", sys.executable)
    key = digest(requirements.read_bytes(), sys.version.encode(), sys.base_prefix.encode())

    def build(target: Path) -> None:
        run([interpreter, "-m", "venv", str(target)])
        run(
            [
                str(target / "bin" / "python"),
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--require-hashes",
                "--no-deps",
                "--only-binary",
                ":all:",
                "--requirement",
                str(requirements),
            ]
        )
        # The scripts of an environment name its path, and this one is about to be renamed.
        for script in (target / "bin").iterdir():
            if script.is_file() and not script.is_symlink():
                text = script.read_bytes()
                script.write_bytes(text.replace(str(target).encode(), str(final).encode()))

    final = CACHE / f"venv-{key}"
    return made_once(final, build)


def made_once(final: Path, make) -> Path:
    """`final`, made by `make(folder)` when it is not there; whoever loses a race uses the winner's."""
    if final.is_dir():
        return final
    final.parent.mkdir(parents=True, exist_ok=True)
    print(f"preparing {final}", file=sys.stderr, flush=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{final.name}-", dir=final.parent))
    try:
        make(scratch)
        try:
            scratch.rename(final)
        except OSError:
            if not final.is_dir():
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return final


def run(command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        sys.exit(f"{command[0]} is missing: run infra/setup.sh test")
    except subprocess.CalledProcessError as error:
        sys.exit(f"{' '.join(command[:4])} failed with exit code {error.returncode}")


if __name__ == "__main__":
    print(kafka_jars())
    print(python_environment())
