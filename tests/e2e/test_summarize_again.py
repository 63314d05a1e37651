"""`precis summarize` over the same files again: it ends, says what is stored, and never makes a result in `--out` worse."""

import json
import signal
import subprocess
import time
from pathlib import Path

import notes
import processes
import pytest
import servers
from embedded import EmbeddedLog

# A run over this few documents takes seconds; one that waits for nobody would take for ever.
RUN_SECONDS = 300
# So short a summary ends flagged: too few words to say anything that passes every check.
FLAGGED_WORDS = "5"


class Summarize:
    """The command over one folder of documents, with a state folder and an `--out` of its own."""

    def __init__(self, folder: Path, documents: int):
        self.folder, self.state, self.out = folder, folder / "state", folder / "out"
        for number in range(documents):
            path = folder / "in" / f"note-{number:02}.txt"
            path.parent.mkdir(exist_ok=True)
            path.write_text(notes.text(number))

    def start(self, *more: str, out: bool = True) -> subprocess.Popen:
        command = [
            str(processes.binary("precis")),
            "--state",
            str(self.state),
            "summarize",
            "in",
            "--json",
            *more,
        ]
        if out:
            command += ["--out", str(self.out)]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=processes.environment(),
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=servers.end_with_parent,
        )

    def run(self, *more: str) -> list[dict]:
        """Its rows, after it has ended in time with a summary for every document."""
        with self.start(*more) as process:
            rows, told, code = ended(process)
        assert code == 0, f"exit code {code}\n{told}"
        return rows

    def until(self, topic: str, records: int) -> None:
        """Waits until a topic of the run's log has so many records."""
        deadline = time.monotonic() + RUN_SECONDS
        log = EmbeddedLog(self.state / "log.db")
        while not (log.path.exists() and has_records(log, topic, records)):
            assert time.monotonic() < deadline, f"no {records} records on {topic}"
            time.sleep(0.05)

    def results(self) -> dict[str, dict]:
        """The JSON files of `--out` by document."""
        return {
            row["document"]: row
            for row in map(json.loads, (path.read_text() for path in self.out.glob("*.json")))
        }

    def page(self) -> str:
        return (self.out / "summaries.md").read_text()


def has_records(log: EmbeddedLog, topic: str, records: int) -> bool:
    try:
        return len(log.read(topic)) >= records
    except Exception:  # noqa: BLE001 - a log that is being made has no tables yet
        return False


def ended(process: subprocess.Popen) -> tuple[list[dict], str, int]:
    """Rows, remarks and exit code; a run that does not end is ended and fails the test."""
    try:
        stdout, stderr = process.communicate(timeout=RUN_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        stdout, stderr = process.communicate()
        pytest.fail(f"the run did not end within {RUN_SECONDS} s\n{stderr}")
    return [json.loads(line) for line in stdout.splitlines()], stderr, process.returncode


def assert_all_from_the_store(first: list[dict], second: list[dict]) -> None:
    assert all(row["from_store"] for row in second), [
        row["document"] for row in second if not row["from_store"]
    ]
    kept = ("document", "document_id", "outcome", "summary", "settled_at")
    assert [[row[key] for key in kept] for row in first] == [
        [row[key] for key in kept] for row in second
    ]


def test_a_second_run_with_flagged_documents_ends_from_the_store(tmp_path):
    summarize = Summarize(tmp_path, documents=4)
    first = summarize.run("--max-words", FLAGGED_WORDS)
    assert "flagged" in {row["outcome"] for row in first}, (
        "no document is flagged: nothing is shown"
    )
    page = summarize.page()
    for _ in range(2):
        with summarize.start("--max-words", FLAGGED_WORDS) as process:
            rows, told, code = ended(process)
        assert code == 0 and "loading the model" not in told, told
        assert_all_from_the_store(first, rows)
    assert sections(summarize.page()) == sections(page)


def test_only_the_new_file_is_computed(tmp_path):
    """One new file beside settled ones is all that is computed."""
    summarize = Summarize(tmp_path, documents=2)
    first = summarize.run("--max-words", FLAGGED_WORDS)
    (tmp_path / "in" / "note-99.txt").write_text(notes.text(99))
    second = summarize.run("--max-words", FLAGGED_WORDS)
    assert [row["from_store"] for row in second] == [True, True, False]
    assert_all_from_the_store(first, second[:2])


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_runs_after_an_interrupted_one_end(tmp_path, how):
    """A run after an interrupted one ends, and so does the next."""
    summarize = Summarize(tmp_path, documents=6)
    settings = tmp_path / "settings.toml"
    # Two at a time, so that some are settled and some wait when the run is stopped.
    settings.write_text("[gpu_worker.stage]\nmax_in_flight = 2\n")
    arguments = ("--max-words", FLAGGED_WORDS, "--config", str(settings))
    with summarize.start(*arguments) as process:
        summarize.until("summaries", 1)
        process.send_signal(how)
        _, told, code = ended(process)
    assert code == (-signal.SIGKILL if how == signal.SIGKILL else 2), (
        f"stopped too late, or badly: {code}\n{told}"
    )
    second = summarize.run(*arguments)
    assert any(row["from_store"] for row in second)
    assert_all_from_the_store(second, summarize.run(*arguments))


def test_a_stopped_run_leaves_better_results_in_out(tmp_path):
    summarize = Summarize(tmp_path, documents=3)
    first = summarize.run("--max-words", FLAGGED_WORDS)
    summarize.state = tmp_path / "another-state"
    with summarize.start("--max-words", FLAGGED_WORDS) as process:
        summarize.until("documents.local", 3)
        process.send_signal(signal.SIGTERM)
        _, told, code = ended(process)
    assert code in (0, 2), told
    now = summarize.results()
    assert {row["document"]: row["summary"] for row in first} == {
        name: row.get("summary") for name, row in now.items()
    }
    assert "No summary" not in summarize.page()


def sections(page: str) -> list[str]:
    """A page without its head, whose totals tell how long the run took."""
    return page.split("\n## ")[1:]
