"""The services as separate processes: started, asked for their health, stopped gently or killed, started again."""

import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import servers

START_SECONDS = 120
DRAIN_SECONDS = 90
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def binary(name: str, profile: str = "debug") -> Path:
    """A binary of this checkout's build."""
    root = Path(__file__).resolve().parents[2]
    target = Path(os.environ.get("CARGO_TARGET_DIR") or root / "target")
    return target / profile / name


def environment(**more: str) -> dict[str, str]:
    """What a service sees: nothing of this machine's own settings, no variable that could configure it by accident."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if key in {"PATH", "HOME", "TMPDIR", "LANG", "LD_LIBRARY_PATH"}
    }
    full = servers.environment({})
    kept |= {
        key: full[key]
        for key in full
        if key.startswith("AWS_") or key in {"NO_PROXY", "no_proxy", "PRECIS_MODELS_DIR"}
    }
    return kept | {"RUST_BACKTRACE": "1"} | more


class Service:
    """One process with a configuration of its own and a log file over all of its lives."""

    def __init__(
        self,
        name: str,
        command: list[str],
        folder: Path,
        telemetry_port: int,
        env: dict[str, str] | None = None,
    ):
        self.name, self.command, self.folder, self.port = name, command, folder, telemetry_port
        self.env = environment(**(env or {}))
        self.log = folder / f"{name}.log"
        self.process: subprocess.Popen | None = None

    def start(self) -> "Service":
        """Starts it and waits until it says that it is ready."""
        self.launch()
        deadline = time.monotonic() + START_SECONDS
        while not self.is_ready():
            code = self.process.poll()
            assert code is None, f"{self.name} ended with {code} before it was ready\n{self.tail()}"
            assert time.monotonic() < deadline, (
                f"{self.name} not ready after {START_SECONDS} s\n{self.tail()}"
            )
            time.sleep(0.05)
        return self

    def launch(self) -> "Service":
        """Starts it and waits for nothing. It lives as long as the thread that calls this, at most."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [str(part) for part in self.command],
                cwd=self.folder,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=servers.end_with_parent,
            )
        return self

    @property
    def pid(self) -> int:
        return self.process.pid

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def is_ready(self) -> bool:
        return self.get("/readyz") is not None

    def get(self, path: str) -> str | None:
        """The body of a telemetry page; None when it does not answer, or not with success."""
        try:
            with DIRECT.open(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.read().decode()
        except OSError:
            return None

    def metric(self, name: str, **labels: str) -> float:
        """The sum over a metric's series that carry these labels; 0 when there is none."""
        total = 0.0
        for line in (self.get("/metrics") or "").splitlines():
            series, _, value = line.rpartition(" ")
            if series.partition("{")[0] == name and all(
                f'{key}="{wanted}"' in series for key, wanted in labels.items()
            ):
                total += float(value)
        return total

    def terminate(self) -> int:
        """SIGTERM, then its exit code; a service that does not drain in time fails the test."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(DRAIN_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(
                f"{self.name} still ran {DRAIN_SECONDS} s after SIGTERM\n{self.tail()}"
            ) from None

    def kill(self) -> None:
        """SIGKILL: no drain, no last commit, no goodbye to the broker."""
        if self.is_running():
            self.process.kill()
            self.process.wait()

    def tail(self, lines: int = 60) -> str:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return f"--- {self.name}\n" + "\n".join(text.splitlines()[-lines:])
