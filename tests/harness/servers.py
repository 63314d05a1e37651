"""Kafka, an S3 server and a stand-in for model providers, for as long as the tests run.

    python3 tests/harness/servers.py [--only kafka,s3,llmock] -- COMMAND ...

starts them on free loopback ports with data in a temporary folder, runs COMMAND with their addresses in the
environment (PRECIS_TEST_KAFKA, PRECIS_TEST_S3, PRECIS_TEST_LLMOCK, PRECIS_MODELS_DIR), stops them and exits with
COMMAND's code. The same classes serve the end-to-end tests, which stop and start servers under the services' feet.

Guarantees: only processes started here are ended, by their process id; they end with COMMAND, on failure, on Ctrl-C
or SIGTERM, and, by the kernel's parent-death signal, even when this process is killed.
"""

import argparse
import contextlib
import ctypes
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import provision  # noqa: E402

READY_SECONDS = 120
STOP_SECONDS = 30
LOOPBACK = "127.0.0.1"


class ServerFailed(Exception):
    """A server did not become ready; the text carries the end of its log."""


def free_port() -> int:
    """A port that was free a moment ago; a server that loses it to someone else is started again on another."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return probe.getsockname()[1]


def end_with_parent() -> None:
    """Run in the child: SIGKILL when the thread that started it dies (Linux; elsewhere `stop` must do)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)


class Server:
    """A child process with a log file; subclasses say how it starts and when it is ready."""

    name = "server"

    def __init__(self, folder: Path):
        self.folder = folder / self.name
        self.folder.mkdir(parents=True)
        self.log = self.folder / "log.txt"
        self.process: subprocess.Popen | None = None
        self.port = free_port()

    def command(self) -> list[str]:
        raise NotImplementedError

    def prepare(self) -> None:
        """Whatever must be on disk before the first start."""

    def ready(self) -> bool:
        raise NotImplementedError

    def start(self) -> None:
        for attempt in range(3):
            try:
                self.prepare()
                self.launch()
                return
            except ServerFailed:
                self.kill()
                if attempt == 2:
                    raise
                self.port = free_port()

    def launch(self) -> None:
        """Starts the process and waits until it answers."""
        with self.log.open("ab") as log:
            self.started_at = log.tell()
            self.process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=end_with_parent,
                env={k: v for k, v in os.environ.items() if not k.startswith("PRECIS_")},
            )
        deadline = time.monotonic() + READY_SECONDS
        while not self.ready():
            if self.process.poll() is not None:
                raise ServerFailed(
                    f"{self.name} ended with {self.process.returncode}\n{self.tail()}"
                )
            if time.monotonic() > deadline:
                raise ServerFailed(f"{self.name} not ready after {READY_SECONDS} s\n{self.tail()}")
            time.sleep(0.1)

    def output(self) -> str:
        """What the process that runs now has written so far."""
        with self.log.open("rb") as log:
            log.seek(self.started_at)
            return log.read().decode(errors="replace")

    def tail(self) -> str:
        return "\n".join(self.output().splitlines()[-40:])

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def restart(self) -> None:
        """Starts it again on the same port with the same data."""
        self.stop()
        self.launch()


class Kafka(Server):
    """One Apache Kafka node, broker and controller, with transactions; a topic must be created before use.

    With `by_proxy` it listens on a second port too, `proxied_port`, whose clients it sends to the port `by_proxy` for
    everything after their first question: a proxy there sees all of their traffic, and `port` stays the direct way.
    """

    name = "kafka"

    def __init__(self, folder: Path, by_proxy: int | None = None):
        super().__init__(folder)
        self.by_proxy = by_proxy
        self.proxied_port = free_port()

    def prepare(self) -> None:
        self.jars = provision.kafka_jars()
        self.controller_port = free_port()
        proxied = f",PROXIED://{LOOPBACK}:{self.proxied_port}" if self.by_proxy else ""
        advertised = f",PROXIED://{LOOPBACK}:{self.by_proxy}" if self.by_proxy else ""
        data = self.folder / "data"
        shutil.rmtree(data, ignore_errors=True)
        self.config = self.folder / "server.properties"
        self.config.write_text(
            "\n".join(
                [
                    "process.roles=broker,controller",
                    "node.id=1",
                    f"controller.quorum.voters=1@{LOOPBACK}:{self.controller_port}",
                    f"listeners=PLAINTEXT://{LOOPBACK}:{self.port}{proxied},CONTROLLER://{LOOPBACK}:{self.controller_port}",
                    f"advertised.listeners=PLAINTEXT://{LOOPBACK}:{self.port}{advertised}",
                    "controller.listener.names=CONTROLLER",
                    "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT",
                    "inter.broker.listener.name=PLAINTEXT",
                    f"log.dirs={data}",
                    "offsets.topic.replication.factor=1",
                    "offsets.topic.num.partitions=4",
                    "transaction.state.log.replication.factor=1",
                    "transaction.state.log.min.isr=1",
                    "transaction.state.log.num.partitions=4",
                    "share.coordinator.state.topic.replication.factor=1",
                    "share.coordinator.state.topic.min.isr=1",
                    "auto.create.topics.enable=false",
                    # Tests wait for what these delay; production keeps Kafka's defaults.
                    "group.initial.rebalance.delay.ms=0",
                    # What members of the older group protocol ask for themselves.
                    "group.consumer.min.session.timeout.ms=6000",
                    "group.consumer.session.timeout.ms=6000",
                    "group.consumer.min.heartbeat.interval.ms=1000",
                    "group.consumer.heartbeat.interval.ms=1000",
                    "transaction.abort.timed.out.transaction.cleanup.interval.ms=1000",
                    # A killed broker may come back when its last session is over.
                    "broker.session.timeout.ms=3000",
                    "broker.heartbeat.interval.ms=500",
                ]
            )
            + "\n"
        )
        with self.log.open("ab") as log:
            self.started_at = log.tell()
            cluster = self.java("-cp", self.classpath(), "kafka.tools.StorageTool", "random-uuid")
            uuid = subprocess.run(
                cluster, check=True, stdout=subprocess.PIPE, stderr=log, text=True
            ).stdout.split()[-1]
            format_ = self.java(
                "-cp",
                self.classpath(),
                "kafka.tools.StorageTool",
                "format",
                "-t",
                uuid,
                "-c",
                str(self.config),
            )
            if subprocess.run(format_, stdout=log, stderr=log, check=False).returncode:
                raise ServerFailed(f"kafka: storage not formatted\n{self.tail()}")

    def classpath(self) -> str:
        return f"{self.jars}/*"

    @staticmethod
    def java(*arguments: str) -> list[str]:
        return ["java", *arguments]

    def command(self) -> list[str]:
        return self.java(
            "-Xms256m",
            "-Xmx768m",
            "-XX:+UseSerialGC",
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-cp",
            self.classpath(),
            "kafka.Kafka",
            str(self.config),
        )

    def ready(self) -> bool:
        # The log line comes last, once the broker is registered and unfenced; the request proves the protocol.
        return "Kafka Server started" in self.output() and self.answers()

    def answers(self) -> bool:
        """Sends ApiVersions v0, which every Kafka broker understands, and reads the error code of the answer."""
        correlation, client = 7, b"precis-tests"
        request = struct.pack(">hhih", 18, 0, correlation, len(client)) + client
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=5) as connection:
                connection.sendall(struct.pack(">i", len(request)) + request)
                answer = connection.makefile("rb").read(10)
        except OSError:
            return False
        return len(answer) == 10 and struct.unpack(">iih", answer)[1:] == (correlation, 0)

    def environment(self) -> dict[str, str]:
        return {"PRECIS_TEST_KAFKA": f"{LOOPBACK}:{self.port}"}


class HttpServer(Server):
    """A server of the Python environment, ready when a path answers."""

    health = "/"

    def script(self, name: str) -> str:
        return str(provision.python_environment() / "bin" / name)

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def ready(self) -> bool:
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                self.url + self.health, timeout=5
            ):
                return True
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False


class S3(HttpServer):
    """moto's S3 server: in memory, takes any credentials; `s3_server.py` makes conditional writes one step, as S3 has them."""

    name = "s3"
    health = "/moto-api/"

    def command(self) -> list[str]:
        script = Path(__file__).resolve().parent / "s3_server.py"
        return [self.script("python"), str(script), LOOPBACK, str(self.port)]

    def environment(self) -> dict[str, str]:
        return {"PRECIS_TEST_S3": self.url}


class LlMock(HttpServer):
    """llmock: Anthropic's and OpenAI's HTTP, with faults on demand and a journal of what was asked."""

    name = "llmock"
    health = "/health"

    def command(self) -> list[str]:
        return [
            self.script("llmock"),
            "serve",
            "--host",
            LOOPBACK,
            "--port",
            str(self.port),
            "--log-level",
            "warning",
        ]

    def environment(self) -> dict[str, str]:
        return {"PRECIS_TEST_LLMOCK": self.url}


KINDS = {kind.name: kind for kind in (Kafka, S3, LlMock)}


@contextlib.contextmanager
def running(names: list[str]):
    """Starts the named servers, yields them by name, stops them in reverse order whatever happens."""
    folder = Path(tempfile.mkdtemp(prefix="precis-servers-"))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        servers = {}
        for name in names:
            server = KINDS[name](folder)
            stack.callback(server.stop)
            server.start()
            servers[name] = server
        yield servers


def environment(servers: dict[str, Server]) -> dict[str, str]:
    """The variables by which tests find the servers, over this process's own."""
    env = dict(os.environ)
    for server in servers.values():
        env |= server.environment()
    env.setdefault("PRECIS_MODELS_DIR", str(provision.CACHE / "models"))
    # Any credentials do for moto, but the SDKs want some, and must not ask a cloud's metadata service for them.
    env |= {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    env.pop("AWS_PROFILE", None)
    bypass = [part for part in (env.get("NO_PROXY"), LOOPBACK, "localhost") if part]
    env["NO_PROXY"] = env["no_proxy"] = ",".join(bypass)
    return env


def terminate_on_signals() -> None:
    """Turns SIGTERM and SIGHUP into the exception that unwinds `running`, as Ctrl-C already does."""

    def leave(number, _frame):
        sys.exit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        # What nohup ignores stays ignored.
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, leave)


@contextlib.contextmanager
def child(command: list[str], env: dict[str, str], **options):
    """Runs `command` as a child; if this process is told to stop meanwhile, the child is stopped first."""
    with subprocess.Popen(command, env=env, **options) as process:
        try:
            yield process
        except BaseException:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
                process.wait(STOP_SECONDS)
            process.kill()
            raise


def run_and_wait(command: list[str], env: dict[str, str], **options) -> int:
    """Runs `command` to its end and returns its exit code."""
    with child(command, env, **options) as process:
        return process.wait()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only",
        default=",".join(KINDS),
        help="comma-separated servers to start (default: %(default)s)",
    )
    parser.add_argument("command", nargs="+", metavar="COMMAND", help="what to run, after --")
    arguments = parser.parse_args()
    names = arguments.only.split(",")
    if unknown := [name for name in names if name not in KINDS]:
        parser.error(f"unknown servers: {', '.join(unknown)}; there are {', '.join(KINDS)}")
    terminate_on_signals()
    try:
        with running(names) as servers:
            for server in servers.values():
                print(f"{server.name} on port {server.port}", file=sys.stderr, flush=True)
            return run_and_wait(arguments.command, environment(servers))
    except ServerFailed as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
