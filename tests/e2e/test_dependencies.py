"""What is fetched and depended on is pinned: the rules of deny.toml, Kafka's jars, cargo's calls and Python's packages."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "tools"), str(ROOT / "tests" / "harness")]

import deny  # noqa: E402
import provision  # noqa: E402

RULES = (ROOT / "deny.toml").read_text(encoding="utf-8")
LOCKED = tomllib.loads((ROOT / "Cargo.lock").read_text(encoding="utf-8"))["package"]
MEMBERS = {package["name"] for package in LOCKED if "source" not in package}

# A fault of each kind, planted by another deny.toml; cargo-deny's check that finds it, and the package.
PLANTED = [
    ("bans", 'crate = "atty"', 'crate = "hashbrown"', "hashbrown"),
    ("bans", 'crate = "axum", deny-multiple', 'crate = "hashbrown", deny-multiple', "hashbrown"),
    ("bans", '"pulp", "tokenizers"]', '"pulp"]', "tokenizers"),
]


@pytest.mark.parametrize(("check", "old", "new", "name"), PLANTED)
def test_planted_fault_is_found_as_cargo_deny_finds_it(check, old, new, name, tmp_path):
    assert deny.ban_problems(deny.rules(RULES), LOCKED) == []
    assert old in RULES
    planted = tmp_path / "deny.toml"
    planted.write_text(RULES.replace(old, new), encoding="utf-8")
    problems = deny.ban_problems(deny.rules(planted.read_text(encoding="utf-8")), LOCKED)
    assert problems and all(name in problem for problem in problems)
    if shutil.which("cargo-deny"):
        # The second tool, where there is one: the same verdicts.
        for config, verdict in ((ROOT / "deny.toml", True), (planted, False)):
            command = ["cargo-deny", "--locked", "--config", str(config), "check", check]
            assert (subprocess.run(command, cwd=ROOT, check=False).returncode == 0) == verdict


def test_licences_need_an_allowed_one_for_every_part():
    rules = deny.rules(RULES)
    for licence, allowed in {
        "MIT OR GPL-3.0": True,
        "MIT AND GPL-3.0": False,
        "(MIT OR GPL-3.0) AND Apache-2.0 WITH LLVM-exception": True,
        "MIT/Apache-2.0": True,
        "AGPL-3.0": False,
        None: False,
    }.items():
        package = {"name": "a", "version": "1", "license": licence, "license_file": None}
        assert (deny.licence_problems(rules, [package]) == []) == allowed, licence


def test_packages_of_git_paths_and_other_registries_are_refused():
    assert deny.source_problems(LOCKED, MEMBERS) == []
    one = {"name": "evil", "version": "1.0.0"}
    for planted in (
        one,
        one | {"source": "git+https://example.org/evil#0"},
        one | {"source": "registry+https://example.org/index", "checksum": "0"},
        one | {"source": next(p["source"] for p in LOCKED if "source" in p)},
    ):
        assert deny.source_problems([*LOCKED, planted], MEMBERS), planted


def test_rule_that_is_not_held_is_refused():
    for rule in ("[licenses]\nexceptions = []", '[bans]\nwildcards = "deny"', "[output]\nx = 1"):
        section = rule.split("\n")[0]
        text = RULES.replace(section, rule) if section in RULES else f"{RULES}\n{rule}\n"
        with pytest.raises(ValueError, match="is not held"):
            deny.rules(text)


def test_jar_that_is_not_the_pinned_one_is_found(tmp_path):
    pins = (ROOT / "tests/harness/kafka/jars.sha256").read_text(encoding="utf-8")
    jars = provision.kafka_jars()
    assert provision.unpinned(jars, pins) == []
    for jar in jars.iterdir():
        (tmp_path / jar.name).symlink_to(jar)
    (first, second) = sorted(tmp_path.iterdir())[:2]
    first.unlink()
    second.unlink()
    second.write_bytes(b"another")
    (tmp_path / "additional.jar").write_bytes(b"evil")
    names = [problem.split(":")[0] for problem in provision.unpinned(tmp_path, pins)]
    assert names == sorted([first.name, second.name, "additional.jar"])


def test_cargo_is_called_with_the_lock_file_everywhere():
    """In what make and CI run: no build may choose other versions than Cargo.lock's."""
    files = [ROOT / "Makefile", ROOT / ".ci/run"]
    for folder in ("infra", "tests", "loadtest", "tools"):
        files += [*(ROOT / folder).rglob("*.py"), *(ROOT / folder).rglob("*.sh")]
    shell = re.compile(r"^(?!\s*#).*?\bcargo (?:build|check|clippy|doc|run|test) .*$", re.MULTILINE)
    python = re.compile(r"\[\s*\"cargo\",\s*\"(?:build|check|clippy|doc|run|test)\"[^]]*\]")
    calls = [
        (path.relative_to(ROOT), call.group(0))
        for path in files
        for pattern in (python, shell)
        for call in pattern.finditer(commands(path))
    ]
    assert len(calls) >= 10
    assert [call for call in calls if "--locked" not in call[1]] == []


def commands(path: Path) -> str:
    """A script's text without what only tells the reader of a command."""
    text = path.read_text(encoding="utf-8")
    text = re.sub(r'"""(?:.|\n)*?"""', "", text) if path.suffix == ".py" else text
    return re.sub(r"^.*\bagain = .*$", "", text, flags=re.MULTILINE)


def test_python_packages_are_pinned_by_digest():
    """Each file that pip installs from: every requirement has one version and digests."""
    for name in (
        "tests/requirements.txt",
        "infra/cuda-requirements.txt",
        "loadtest/engine/build-tools.txt",
        "loadtest/quality/requirements.txt",
    ):
        text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        assert lines
        for line in lines:
            assert re.match(
                r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==[0-9][^ ]* (; .*)?( +--hash=sha256:[0-9a-f]{64})+$",
                line,
            ), line
    scripts = [
        path
        for folder in ("infra", "tests", "loadtest", "tools")
        for path in (ROOT / folder).rglob("*")
    ]
    for script in scripts:
        if script.suffix in {".py", ".sh"} and script != Path(__file__).resolve():
            text = script.read_text(encoding="utf-8")
            if re.search(r"""\bpip["']?,?\s+["']?(install|download)\b""", text):
                assert "--require-hashes" in text, script
