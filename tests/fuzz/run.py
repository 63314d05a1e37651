"""`make fuzz`: libFuzzer on every decoder, guided by what an input reaches in our own code.

    python3 tests/fuzz/run.py [--seconds 60] [--jobs 2] [--only policy,gguf] [--keep]

A target is a test that calls `precis_fuzz::survives`; what it is about stands there. This builds those tests with
counters (rustc.sh) and libFuzzer, asks them which decoders they hold, and gives each its time, starting from the inputs
in corpus/ and the valid ones of the test. No nightly compiler, no network but cargo's.

An input that breaks a decoder is kept in the file that the failure names, below $CARGO_TARGET_DIR/fuzz; it belongs into
corpus/<decoder>/ with the fix. `--keep` adds to corpus/ what reached something new, the least of it.
The last line is `N decoders survived, N failed`; the exit code is 0 only when none failed.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CORPUS = HERE / "corpus"
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve()
WORK = TARGET / "fuzz"

# What every test that holds a decoder has in its name.
MARK = "surviv"
# Parsing is done with less; libFuzzer begins with short inputs and grows them.
LONGEST_INPUT = 4096
# The limit of precis_fuzz::MAX_DECODE_TIME, with room for a machine that does something else.
SECONDS_AN_INPUT = 20
# More than any of our decoders needs for such an input with a model's vocabulary beside it.
MEGABYTES = 1024
# What is kept of a decoder at most: the repository is no place for more, and a clone has to carry it.
KEPT_BYTES, KEPT_FILES = 12 * 1024, 64

# Compiled in a hurry, since every commit waits for it: at 1 the build takes twice as long. What has a level of its own in
# Cargo.toml has it for its other tests. A panic says where it was without debug information.
PROFILE = ["profile.dev.debug=false", "profile.dev.package.precis-quality.opt-level=1"] + [
    f"profile.dev.package.precis-{name}.opt-level=0"
    for name in ("explore", "flow", "inference", "kernels", "policy")
]


@dataclass
class Binary:
    """One test binary and where cargo would run it."""

    path: Path
    package: str
    folder: Path


@dataclass
class Decoder:
    """One target."""

    name: str
    test: str
    binary: Binary
    executions: int = 0
    per_second: int = 0
    edges: int = 0
    rss: int = 0
    failure: str = field(default="", repr=False)

    @property
    def folder(self) -> Path:
        return WORK / self.name

    def command(self, arguments: list[str]) -> list[str]:
        return [str(self.binary.path), "--exact", self.test, "--nocapture", "--", *arguments]


def packages() -> list[str]:
    """The crates whose tests may hold decoders."""
    found = []
    for manifest in sorted(ROOT.glob("**/Cargo.toml")):
        text = manifest.read_text()
        if re.search(r"^precis-fuzz\.workspace = true$", text, re.M):
            found.append(re.search(r'^name = "(.*)"$', text, re.M).group(1))
    return found


def build() -> list[Binary]:
    selected = [word for name in packages() for word in ("--package", name)]
    command = [
        "cargo",
        "test",
        "--locked",
        "--no-run",
        "--lib",
        "--test",
        "suite",
        "--message-format=json-render-diagnostics",
    ]
    command += ["--package", "precis-fuzz", "--features", "precis-fuzz/libfuzzer", *selected]
    command += [word for setting in PROFILE for word in ("--config", setting)]
    env = os.environ | {
        "CARGO_TARGET_DIR": str(TARGET),
        "RUSTC_WORKSPACE_WRAPPER": str(HERE / "rustc.sh"),
    }
    env["CARGO_INCREMENTAL"] = "0"
    done = subprocess.run(
        command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    )
    if done.returncode:
        sys.exit("build failed: nothing was tried")
    binaries = []
    for line in done.stdout.splitlines():
        message = json.loads(line)
        if (
            message["reason"] == "compiler-artifact"
            and message.get("executable")
            and message["profile"]["test"]
        ):
            folder = Path(message["manifest_path"]).parent
            if folder != HERE:
                name = re.search(
                    r'^name = "(.*)"$', (folder / "Cargo.toml").read_text(), re.M
                ).group(1)
                binaries.append(Binary(Path(message["executable"]), name, folder))
    return binaries


def decoders(binaries: list[Binary]) -> list[Decoder]:
    """What the tests say that they hold; their valid inputs are below WORK then."""
    found = []
    for binary in binaries:
        listed = WORK / "list"
        shutil.rmtree(listed, ignore_errors=True)
        listed.mkdir(parents=True)
        env = environment() | {"PRECIS_FUZZ_LIST": str(listed)}
        done = subprocess.run(
            [binary.path, MARK], cwd=binary.folder, env=env, capture_output=True, text=True
        )
        if done.returncode:
            sys.exit(f"{binary.package} could not list its decoders:\n{done.stdout}{done.stderr}")
        for folder in sorted(listed.iterdir()):
            decoder = Decoder(folder.name, (folder / "test").read_text(), binary)
            if any(decoder.name == other.name for other in found):
                sys.exit(f"two decoders are called {decoder.name}: the name is also the corpus's")
            shutil.rmtree(decoder.folder, ignore_errors=True)
            folder.rename(decoder.folder)
            found.append(decoder)
    return found


def environment() -> dict[str, str]:
    """Without what would change the runs: a test reads these."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PRECIS_FUZZ")}


def fuzz(decoder: Decoder, seconds: int) -> None:
    found = decoder.folder / "found"
    found.mkdir(parents=True)
    starts = [
        folder for folder in (decoder.folder / "valid", CORPUS / decoder.name) if folder.is_dir()
    ]
    limits = [
        f"-max_total_time={seconds}",
        f"-timeout={SECONDS_AN_INPUT}",
        f"-rss_limit_mb={MEGABYTES}",
    ]
    artifacts = f"-artifact_prefix={decoder.folder}/"
    arguments = [
        *limits,
        f"-max_len={LONGEST_INPUT}",
        "-print_final_stats=1",
        artifacts,
        str(found),
        *map(str, starts),
    ]
    log = decoder.folder / "log"
    with log.open("w") as out:
        env = environment() | {
            "PRECIS_FUZZ": decoder.name,
            "PRECIS_FUZZ_LAST": str(decoder.folder / "last-input"),
        }
        # libFuzzer keeps its limits itself, but for a decoder that keeps signals from it.
        code = wait(
            decoder.command(arguments),
            decoder.binary.folder,
            env,
            out,
            seconds + 5 * SECONDS_AN_INPUT,
        )
    read(decoder, log.read_text(errors="replace"))
    if code:
        decoder.failure = failure(decoder, code, log)
    elif decoder.edges < 10:
        decoder.failure = (
            f"only {decoder.edges} edges were seen: is the code compiled with counters? see {log}"
        )


def wait(command: list[str], folder: Path, env: dict[str, str], out, limit: float) -> int:
    try:
        return subprocess.run(
            command,
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            timeout=limit,
        ).returncode
    except subprocess.TimeoutExpired:
        return 124


def read(decoder: Decoder, log: str) -> None:
    """The numbers that libFuzzer prints."""
    number = lambda pattern: int((re.findall(pattern, log) or ["0"])[-1])  # noqa: E731
    decoder.executions = number(r"stat::number_of_executed_units:\s+(\d+)")
    decoder.per_second = number(r"stat::average_exec_per_sec:\s+(\d+)")
    decoder.rss = number(r"stat::peak_rss_mb:\s+(\d+)")
    decoder.edges = number(r"\bcov: (\d+)")


def failure(decoder: Decoder, code: int, log: Path) -> str:
    inputs = [
        path
        for path in decoder.folder.iterdir()
        if re.match(r"(crash|timeout|oom|slow-unit|leak)-", path.name)
    ]
    inputs.sort(key=lambda path: path.stat().st_mtime)
    # A stack that overflowed, or a process that was killed: libFuzzer could write nothing.
    inputs = inputs or [path for path in [decoder.folder / "last-input"] if path.exists()]
    # Without what libFuzzer says of each input that reached something new.
    told = [
        line
        for line in log.read_text(errors="replace").splitlines()
        if not re.match(r"#\d+\s", line)
    ]
    tail = "\n".join(line[:200] for line in told[-20:])
    if not inputs:
        return f"exit code {code} and no input was kept; see {log}\n{tail}"
    again = f"PRECIS_FUZZ={decoder.name} PRECIS_FUZZ_INPUT={inputs[-1]} cargo test -p {decoder.binary.package} {MARK}"
    return f"exit code {code}; the input is in {inputs[-1]}\nagain: {again}\n{tail}"


def keep(decoder: Decoder) -> int:
    """Adds to the corpus what reaches something that valid inputs do not, the smallest inputs first."""
    merged, kept = decoder.folder / "merged", CORPUS / decoder.name
    shutil.copytree(decoder.folder / "valid", merged)
    known = {path.name for path in merged.iterdir()}
    sources = [str(folder) for folder in (kept, decoder.folder / "found") if folder.is_dir()]
    env = environment() | {"PRECIS_FUZZ": decoder.name}
    # The fewest inputs that reach every edge once: how often is not worth a file.
    limits = ["-set_cover_merge=1", "-use_counters=0", f"-max_len={LONGEST_INPUT}"]
    arguments = [*limits, f"-timeout={SECONDS_AN_INPUT}", str(merged), *sources]
    with (decoder.folder / "merge-log").open("w") as out:
        if wait(decoder.command(arguments), decoder.binary.folder, env, out, 600):
            sys.exit(
                f"{decoder.name}: its inputs could not be merged; see {decoder.folder}/merge-log"
            )
    # What broke a decoder once has a name that people gave it, and stays.
    named = [path for path in kept.glob("*") if not re.fullmatch(r"[0-9a-f]{40}", path.name)]
    held = {path.read_bytes() for path in named}
    for path in kept.glob("*"):
        if path not in named:
            path.unlink()
    kept.mkdir(parents=True, exist_ok=True)
    size, count = 0, 0
    for path in sorted(merged.iterdir(), key=lambda path: (path.stat().st_size, path.name)):
        if path.name in known or path.read_bytes() in held:
            continue
        size += path.stat().st_size
        if size > KEPT_BYTES or count == KEPT_FILES:
            break
        shutil.copy(path, kept / path.name)
        count += 1
    return count


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=60, help="for each decoder")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="decoders at once")
    parser.add_argument("--only", default="", help="names of decoders, by commas")
    parser.add_argument("--keep", action="store_true", help="add what was found to corpus/")
    arguments = parser.parse_args()
    begun = time.monotonic()
    found = decoders(build())
    built = time.monotonic() - begun
    only = {name for name in arguments.only.split(",") if name}
    if unknown := only - {decoder.name for decoder in found}:
        sys.exit(
            f"no decoder is called {', '.join(sorted(unknown))}; there are {', '.join(d.name for d in found)}"
        )
    if strays := {path.name for path in CORPUS.iterdir() if path.is_dir()} - {
        decoder.name for decoder in found
    }:
        sys.exit(f"corpus/ holds inputs of no decoder: {', '.join(sorted(strays))}")
    chosen = [decoder for decoder in found if not only or decoder.name in only]
    lock = threading.Lock()

    def one(decoder: Decoder) -> None:
        fuzz(decoder, arguments.seconds)
        kept = f", {keep(decoder)} inputs kept" if arguments.keep and not decoder.failure else ""
        with lock:
            print(
                f"{decoder.name:20} {decoder.executions:>10} inputs {decoder.per_second:>8}/s {decoder.edges:>6} edges"
                f" {decoder.rss:>5} MB  {'FAILED' if decoder.failure else 'survived'}{kept}",
                flush=True,
            )

    print(
        f"== {len(chosen)} decoders, {arguments.seconds} s each, {arguments.jobs} at once; built in {built:.0f} s",
        flush=True,
    )
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for done in [pool.submit(one, decoder) for decoder in chosen]:
            done.result()
    failed = [decoder for decoder in chosen if decoder.failure]
    for decoder in failed:
        print(f"\n== {decoder.name} ({decoder.binary.package}, {decoder.test}): {decoder.failure}")
    print(
        f"{time.monotonic() - begun:.0f} s\n{len(chosen) - len(failed)} decoders survived, {len(failed)} failed",
        flush=True,
    )
    return 1 if failed or not chosen else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
