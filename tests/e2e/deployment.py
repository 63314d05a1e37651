"""One deployment for one test: a log, a store, a policy, and the services that share them. The only place that knows configuration keys."""

import json
import subprocess
import urllib.request
import uuid
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import notes
import oracle
import servers
import wire
from embedded import EmbeddedLog
from kafka import KafkaLog
from processes import DIRECT, Service, binary, environment
from stores import DirectoryStore, S3Store

TENANT = "acme"
CLI_SECONDS = 120


def toml(table: dict, path: str = "") -> str:
    """TOML of nested dicts; a dict in a list is written on one line."""
    plain = {key: value for key, value in table.items() if not isinstance(value, dict)}
    lines = [f"[{path}]"] if path and plain else []
    lines += [f"{json.dumps(key)} = {inline(value)}" for key, value in plain.items()]
    nested = [
        toml(value, f"{path}.{json.dumps(key)}" if path else json.dumps(key))
        for key, value in table.items()
        if isinstance(value, dict)
    ]
    return "\n".join(lines + nested) + "\n"


def inline(value) -> str:
    """A value as TOML writes it on one line; strings, numbers and booleans are written as JSON writes them, which TOML reads."""
    if isinstance(value, dict):
        return (
            "{ "
            + ", ".join(f"{json.dumps(key)} = {inline(item)}" for key, item in value.items())
            + " }"
        )
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(inline, value))}]"
    return json.dumps(value)


@dataclass(frozen=True)
class Tier:
    """A tier of the policy."""

    name: str
    kind: str
    share: float = 1.0
    max_sensitivity: str = "restricted"
    provider: str | None = None
    model: str | None = None
    max_backlog: int | None = None
    residency: tuple[str, ...] | None = None
    adapters: tuple[dict, ...] | None = None

    def with_share(self, share: float) -> "Tier":
        return replace(self, share=share)

    def toml(self) -> str:
        return "[[tiers]]\n" + toml(
            {key: value for key, value in asdict(self).items() if value is not None}
        )


GPU = Tier("gpu", "gpu")
API = Tier(
    "api",
    "api",
    max_sensitivity="internal",
    residency=("*",),
    provider="openai",
    model="gpt-5.4-nano",
)
# Any text passes: for tests that are about where documents go, not about what a small model says.
PERMISSIVE = {"gates": ["empty"]}


def policy(tiers: list[Tier], checks: dict | None = None) -> str:
    tables = [tier.toml() for tier in tiers]
    if checks:
        tables.append(toml({"checks": {"default": checks}}))
    return "\n".join([toml({"version": 1, "on_exhausted": "flag", "max_hops": 2}), *tables])


class Deployment:
    """Services, by instance name, over one log and one store. Subclasses say which."""

    # The build whose binaries run: tests take the debug one, measurements the release one.
    profile = "debug"
    # Whose topics are made.
    tenants = (TENANT,)

    def __init__(
        self,
        folder: Path,
        tiers: list[Tier],
        llmock: "LlMock | None" = None,
        key: str | None = "test-key",
        checks: dict | None = None,
    ):
        self.folder, self.llmock, self.key = folder, llmock, key
        self.services: dict[str, Service] = {}
        # The section [model]; empty: the default model in the folder of models that all share.
        self.model: dict[str, str] = {}
        self.policy_file = folder / "policy.toml"
        self.policy_file.write_text(policy(tiers, checks))
        if llmock:
            llmock.answers()

    def settings(self, instance: str, port: int) -> dict:
        """The whole configuration of one instance."""
        settings = {
            "log": self.log_settings(instance),
            "store": self.store_settings(),
            "telemetry": {"listen": f"127.0.0.1:{port}"},
            "policy": {"file": str(self.policy_file)},
            "topics": {"tenants": list(self.tenants), "partitions": 4},
        }
        if self.model:
            settings["model"] = self.model
        return settings | self.service_settings()

    def log_settings(self, instance: str) -> dict:
        raise NotImplementedError

    def store_settings(self) -> dict:
        raise NotImplementedError

    def service_settings(self) -> dict:
        if not self.llmock:
            return {}
        return {
            "api_worker": {
                "openai": {"base_url": f"{self.llmock.url}/v1"},
                "anthropic": {"base_url": f"{self.llmock.url}/anthropic"},
            }
        }

    def keys(self) -> dict[str, str]:
        """Providers' keys, as every process of the deployment finds them."""
        return {"OPENAI_API_KEY": self.key, "ANTHROPIC_API_KEY": self.key} if self.key else {}

    def config_file(self, instance: str, port: int, file: str | None = None) -> Path:
        path = self.folder / f"{file or instance}.toml"
        path.write_text(toml(self.settings(instance, port)))
        return path

    def start(self, program: str, *arguments: str, instance: str | None = None) -> Service:
        """Starts an instance of a program with its own configuration; two of one program need two instance names."""
        instance = instance or program.removeprefix("precis-")
        port = servers.free_port()
        command = [
            binary(program, self.profile),
            *arguments,
            "--config",
            self.config_file(instance, port),
        ]
        service = Service(instance, command, self.folder, port, self.keys())
        self.services[instance] = service
        return service.start()

    def cli(
        self, *arguments: str, stdin: bytes | None = None, check: bool = True
    ) -> subprocess.CompletedProcess:
        """Runs `precis` to its end with this deployment's configuration."""
        # A file of its own for each: several may run at once.
        config = self.config_file("cli", servers.free_port(), f"cli-{uuid.uuid4().hex[:8]}")
        done = subprocess.run(
            [binary("precis", self.profile), *arguments, "--config", config],
            cwd=self.folder,
            env=environment(**self.keys()),
            timeout=CLI_SECONDS,
            input=stdin,
            stdin=None if stdin is not None else subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        assert not check or done.returncode == 0, (
            f"precis {' '.join(arguments)} ended with {done.returncode}\n{done.stdout.decode()}\n{done.stderr.decode()}"
        )
        return done

    def drain(self) -> None:
        """SIGTERM to everything that runs; every one must end with exit code 0."""
        for service in list(self.services.values()):
            if service.is_running():
                code = service.terminate()
                assert code == 0, (
                    f"{service.name} ended with {code} after SIGTERM\n{service.tail()}"
                )

    def close(self) -> None:
        for service in self.services.values():
            service.kill()

    def logs(self) -> str:
        return "\n".join(service.tail() for service in self.services.values())


class KafkaDeployment(Deployment):
    """Kafka and S3: every service a process of its own."""

    def __init__(self, folder: Path, tiers: list[Tier], kafka: KafkaLog, s3: str, **more):
        super().__init__(folder, tiers, **more)
        self.kafka = kafka
        self.store = S3Store(s3, f"precis-{uuid.uuid4().hex[:12]}")
        kafka.wipe()

    def log_settings(self, instance: str) -> dict:
        return {
            "kind": "kafka",
            "kafka": {
                "brokers": self.kafka.brokers,
                "client_id": f"e2e-{instance}",
                "instance_id": instance,
                # The shortest that brokers take: a killed member's partitions and transactions are waited for this long.
                "session_timeout_ms": 6000,
                "transaction_timeout_ms": 10000,
                "message_timeout_ms": 10000,
            },
        }

    def store_settings(self) -> dict:
        return {
            "kind": "s3",
            "s3": {
                "bucket": self.store.bucket,
                "endpoint": self.store.endpoint,
                "region": "us-east-1",
                "force_path_style": True,
            },
        }

    def publish(
        self, documents: list[dict], tenant: str = TENANT, pause_seconds: float = 0.0
    ) -> set[oracle.Identity]:
        """Publishes as any Kafka client would; returns the identities once all are acknowledged."""
        schema = wire.schema("document")
        records = [
            (
                document["document_id"].encode(),
                schema.encode(document),
                [("precis-schema", schema.header.encode())],
            )
            for document in documents
        ]
        self.kafka.publish(f"documents.{tenant}", records, pause_seconds)
        return {
            (tenant, document["document_id"], document.get("revision", 0)) for document in documents
        }

    def assert_settled(
        self, published: set[oracle.Identity], repeats: int = 0
    ) -> dict[oracle.Identity, dict]:
        """Drains the services, then holds topic and bucket against what was published."""
        self.drain()
        results = list(self.store.objects("results/").values())
        return oracle.assert_each_exactly_once(
            published, self.kafka.read("summaries"), results, repeats
        )


class EmbeddedDeployment(Deployment):
    """One process, the embedded log and a directory."""

    def __init__(self, folder: Path, tiers: list[Tier], **more):
        super().__init__(folder, tiers, **more)
        self.store = DirectoryStore(folder / "objects")
        self.log = EmbeddedLog(folder / "log.db")

    def log_settings(self, instance: str) -> dict:
        return {"kind": "embedded", "embedded": {"path": str(self.log.path)}}

    def store_settings(self) -> dict:
        return {"kind": "directory", "directory": {"path": str(self.store.folder)}}

    def submit(self, documents: list[dict], tenant: str = TENANT) -> set[oracle.Identity]:
        """Publishes with `precis submit`, beside whatever runs; returns the identities once it says that they are published.

        All documents have the first one's length, since it is an option of the command.
        """
        lines = [
            json.dumps(
                {
                    "id": document["document_id"],
                    "text": document["text"],
                    "language": document["language"],
                }
            )
            for document in documents
        ]
        file = self.folder / f"{uuid.uuid4().hex}.jsonl"
        file.write_text("\n".join(lines) + "\n")
        done = self.cli(
            "submit",
            file,
            "--json",
            "--tenant",
            tenant,
            "--sensitivity",
            "public",
            "--max-words",
            str(documents[0]["max_words"]),
        )
        told = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(told) == len(documents), done.stderr.decode()
        return {(row["tenant"], row["document_id"], row["revision"]) for row in told}

    def assert_settled(
        self, published: set[oracle.Identity], repeats: int = 0
    ) -> dict[oracle.Identity, dict]:
        """Drains the process, then holds the log's file and the store's folder against what was published."""
        self.drain()
        results = list(self.store.objects("results/").values())
        return oracle.assert_each_exactly_once(
            published, self.log.read("summaries"), results, repeats
        )


class LlMock:
    """The stand-in for providers: what it shall answer, and what it was asked."""

    def __init__(self, url: str):
        self.url = url

    def call(self, method: str, path: str, body: dict | None = None) -> dict:
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(
            self.url + path, data=data, method=method, headers={"content-type": "application/json"}
        )
        with DIRECT.open(request, timeout=30) as answer:
            return json.loads(answer.read() or b"{}")

    def reset(self) -> None:
        self.call("POST", "/_llmock/reset")

    def behave(self, *behaviors: dict) -> None:
        self.call("POST", "/_llmock/scenario", {"behaviors": list(behaviors)})

    def answers(self, text: str = notes.ANSWER) -> None:
        """Every request from now on is answered with this text."""
        self.behave({"type": "reply", "text": text, "times": None})

    def requests(self) -> list[dict]:
        return self.call("GET", "/_llmock/requests")["requests"]
