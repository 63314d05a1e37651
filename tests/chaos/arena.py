"""All of a run: broker, store and provider, each behind something that fails, the services as a fleet, and what they must do.

publisher ─▶ Kafka ◀── TCP proxy ◀── services ──▶ S3 proxy ─▶ S3
oracle    ─▶   │                        └──────▶ provider
               └─ direct listener: what is measured never goes through what fails
"""

import contextlib
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import evaluations
import hostile
import plan
import publisher
import recreation
import servers
from deployment import API, GPU, KafkaDeployment, Tier, toml
from fleet import Fleet, Life
from kafka import KafkaLog
from loop import Loop
from plan import Fault
from processes import Service, binary
from providers import Provider
from s3_proxy import S3Proxy
from stores import DirectoryStore
from tcp_proxy import TcpProxy

DRAIN_MS = 6_000
# SIGTERM: the drain budget, then the last commit and leaving the group, each with a deadline of 10 s in flow, and some for this machine.
SIGTERM_SECONDS = DRAIN_MS / 1000 + 10 + 10 + 6
# A broker that comes back on a busy machine may load its groups twice and forget the members' sessions; then those that died meanwhile are
# waited for as long as this. Longer than drain budget and transaction timeout, and short of what new work may take to flow.
REBALANCE_MS = 30_000
READY_SECONDS = 120
SLOW_LINK_SECONDS = 0.08
# What decides is whether there is an answer and whether it keeps to its length: the cheap tier cannot where few words are allowed.
CHECKS = {"gates": ["empty", "length"], "min_words": 1, "length_tolerance": 0.0}
TIERS = {"gpu": GPU, "api": API}
# Known again wherever it may turn up.
KEY = "sk-chaos-very-secret"
SHARES = {"gpu": 0.6, "api": 0.4}


@dataclass(frozen=True)
class Options:
    """What kind of run."""

    seed: int
    tiers: tuple[str, ...] = ("gpu", "api")
    store: str = "s3"
    real_model: bool = False
    profile: str = "chaos"
    # Failpoints of every life instead of the plan's own: a negative control.
    failpoints: str | None = None

    @property
    def services(self) -> tuple[str, ...]:
        return ("router", *(f"{tier}-worker" for tier in self.tiers))

    @property
    def judges(self) -> tuple[str, ...]:
        """The tiers that judge: the provider's where there is one, to which no restricted document may go. The stand-in of the other gives
        no verdicts."""
        return ("api",) if "api" in self.tiers else self.tiers


# What a fault of the way to Kafka is counted as.
LINK_COUNTS = {
    "link_cut": "cut connections",
    "link_stall": "stalled chunks",
    "link_slow": "slowed chunks",
}


class ChaosDeployment(KafkaDeployment):
    """Settings of the services: everything outside of them is reached through what fails, and timeouts are short."""

    profile = "chaos"
    tenants = (publisher.TENANT, recreation.TENANT, hostile.TENANT)

    def __init__(self, folder: Path, tiers: list[Tier], kafka: KafkaLog, s3: str, arena: "Arena"):
        self.arena = arena
        super().__init__(folder, tiers, kafka, s3, key=KEY, checks=CHECKS)
        more = toml(
            {
                "limits": {"max_text_bytes": hostile.MAX_TEXT_BYTES},
                "evaluation": {"judges": arena.options.judges} | evaluations.SHARES,
            }
        )
        self.policy_file.write_text(f"{self.policy_file.read_text()}\n{more}")
        self.s3 = self.store
        if arena.options.store == "directory":
            self.store = DirectoryStore(folder / "objects")

    def put(self, key: str, data: bytes) -> None:
        if isinstance(self.store, DirectoryStore):
            path = self.store.folder / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        else:
            self.s3.client.put_object(Bucket=self.s3.bucket, Key=key, Body=data)

    def settings(self, instance: str, port: int) -> dict:
        settings = super().settings(instance, port)
        settings["telemetry"]["log_format"] = "json"
        return settings

    def log_settings(self, instance: str) -> dict:
        settings = super().log_settings(instance)
        settings["kafka"] |= {
            "brokers": f"{servers.LOOPBACK}:{self.arena.link.port}",
            "message_timeout_ms": 6_000,
            "topic_refresh_ms": 2_000,
            "max_poll_interval_ms": REBALANCE_MS,
        }
        # Both ways of running: transactional ids for ever, and one that is another each time.
        if instance.endswith(f"-{plan.MAX_INSTANCES}"):
            del settings["kafka"]["instance_id"]
        return settings

    def store_settings(self) -> dict:
        if isinstance(self.store, DirectoryStore):
            return {"kind": "directory", "directory": {"path": str(self.store.folder)}}
        settings = super().store_settings()
        settings["s3"] |= {
            "endpoint": self.arena.s3_proxy.url,
            "attempt_timeout_ms": 3_000,
            "connect_timeout_ms": 1_000,
        }
        return settings

    def service_settings(self) -> dict:
        stage = {"drain_budget_ms": DRAIN_MS}
        provider = {
            "base_url": f"{self.arena.provider.url}/v1",
            "timeout_ms": 3_000,
            "connect_timeout_ms": 1_000,
            "max_concurrency": 8,
        }
        return {
            "router": {"stage": stage},
            "gpu_worker": {"stage": stage},
            "api_worker": {"stage": stage, "openai": provider},
        }


class Arena:
    """Built and torn down by `with`; the folder holds every service's log and configuration."""

    def __init__(self, folder: Path, options: Options):
        self.folder, self.options = folder, options
        self.stack = contextlib.ExitStack()
        self.armed = True
        self.broker_restarts = self.broker_freezes = 0

    def __enter__(self) -> "Arena":
        try:
            self.build()
        except BaseException:
            self.stack.close()
            raise
        return self

    def __exit__(self, *_) -> None:
        self.stack.close()

    def build(self) -> None:
        # A child ends with the thread that started it: the broker is started, killed and started again by one thread.
        self.hands = ThreadPoolExecutor(1, thread_name_prefix="chaos-broker")
        self.stack.callback(self.hands.shutdown)
        self.loop = Loop()
        self.stack.callback(self.loop.close)
        self.link = TcpProxy(self.loop)
        self.stack.callback(self.link.close)
        self.broker = servers.Kafka(self.folder, by_proxy=self.link.port)
        self.s3_server = servers.S3(self.folder)
        for server in (self.broker, self.s3_server):
            self.stack.callback(server.stop)
            self.hands.submit(server.start).result()
        self.link.target = self.broker.proxied_port
        self.s3_proxy = S3Proxy(self.loop, self.s3_server.port, self.options.seed)
        self.stack.callback(self.s3_proxy.close)
        self.provider = Provider(self.loop, self.options.seed)
        self.stack.callback(self.provider.close)
        self.kafka = KafkaLog(f"{servers.LOOPBACK}:{self.broker.port}")
        self.stack.callback(self.kafka.close)
        whole = sum(SHARES[tier] for tier in self.options.tiers)
        tiers = [TIERS[tier].with_share(SHARES[tier] / whole) for tier in self.options.tiers]
        self.deployment = ChaosDeployment(self.folder, tiers, self.kafka, self.s3_server.url, self)
        self.fleet = Fleet(self.make, SIGTERM_SECONDS)
        self.stack.callback(self.fleet.close)

    def make(self, instance: str, life: int, file: str) -> tuple[Service, bool]:
        """The process of one life, and whether it may die by itself."""
        service = instance.rpartition("-")[0]
        port = servers.free_port()
        config = self.deployment.config_file(instance, port, file)
        failpoints = ""
        if self.armed:
            given = self.options.failpoints
            failpoints = (
                plan.failpoints(self.options.seed, instance, life) if given is None else given
            )
        environment = self.deployment.keys() | {"FAILPOINTS": failpoints}
        if not self.options.real_model:
            environment |= {
                "PRECIS_CHAOS_BACKEND": "unique_answers",
                "PRECIS_CHAOS_INSTANCE": f"{file}.{life}",
                "PRECIS_CHAOS_DELAY_MS": "20",
            }
        command = [binary(f"precis-{service}", self.options.profile), "--config", config]
        return Service(file, command, self.folder, port, environment), bool(failpoints)

    def start(self) -> None:
        """One instance of each service, all ready."""
        for service in self.options.services:
            self.fleet.do(self.fleet.scale, service, 1)
        ready = self.fleet.settle(lambda: self.ready() == len(self.options.services), READY_SECONDS)
        assert ready, "not ready in time:\n" + "\n".join(
            life.service.tail() for life in self.fleet.lives.values()
        )

    def ready(self) -> int:
        return sum(life.service.is_ready() for life in self.fleet.running())

    # What goes wrong, whom it meets, and how it ends again.

    def met(self, fault: Fault) -> int:
        """How often something happened that faults of this kind alone lead to."""
        channel, _, mode = fault.kind.partition("_")
        counts = {
            "s3": self.s3_proxy.counts,
            "provider": self.provider.counts,
            "link": self.link.counts,
        }[channel]
        return counts[LINK_COUNTS.get(fault.kind, mode)]

    def reachable(self, fault: Fault) -> bool:
        """Whether there is anybody whom a fault could hit now."""
        return (
            fault.kind not in plan.KIND
            or plan.KIND[fault.kind].channel != "process"
            or bool(self.candidates(fault))
        )

    def candidates(self, fault: Fault) -> list[Life]:
        """Whom a fault of processes may hit: for a double those whose name is theirs for ever, since only they are fenced by it."""
        running = self.fleet.running(fault.target)
        return [
            life
            for life in running
            if fault.kind != "double" or not life.instance.endswith(f"-{plan.MAX_INSTANCES}")
        ]

    def begin(self, fault: Fault) -> None:
        """Makes a fault begin; one that lasts ends by `end`."""
        if fault.kind == plan.SCALE:
            self.fleet.do(self.fleet.scale, fault.target, fault.draw)
        elif plan.KIND[fault.kind].channel == "process":
            self.fleet.do(self.hit, fault)
        elif fault.kind == "broker_kill":
            self.hands.submit(self.kill_broker, fault.seconds)
        elif fault.kind == "broker_freeze":
            self.hands.submit(self.freeze_broker, fault.seconds)
        elif fault.kind == "link_cut":
            self.link.cut()
        elif fault.kind == "link_stall":
            self.link.stall(True)
        elif fault.kind == "link_slow":
            self.link.slow(SLOW_LINK_SECONDS)
        elif fault.kind.startswith("s3_"):
            self.s3_proxy.mode = fault.kind.removeprefix("s3_")
        else:
            self.provider.mode = fault.kind.removeprefix("provider_")

    def end(self, fault: Fault) -> None:
        channel = plan.KIND[fault.kind].channel if fault.kind in plan.KIND else ""
        if channel == "link":
            self.link.heal()
        elif channel == "s3":
            self.s3_proxy.mode = ""
        elif channel == "provider":
            self.provider.mode = ""

    def hit(self, fault: Fault) -> None:
        life: Life | None = plan.pick(fault, self.candidates(fault))
        if life is None:
            return
        if fault.kind == "freeze":
            self.fleet.freeze(life, fault.seconds)
        elif fault.kind == "double":
            self.fleet.double(life, fault.seconds)
        elif fault.kind == "kill":
            self.fleet.kill(life)
        else:
            self.fleet.terminate(life)

    def kill_broker(self, seconds: float) -> None:
        self.broker.kill()
        time.sleep(seconds)
        self.broker.launch()
        self.broker_restarts += 1

    def freeze_broker(self, seconds: float) -> None:
        """Stands still, as in a long collection of garbage."""
        self.broker.process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self.broker.process.send_signal(signal.SIGCONT)
        self.broker_freezes += 1

    def heal(self) -> None:
        """Ends everything that goes wrong, also what waits in processes that are armed."""
        self.link.heal()
        self.s3_proxy.mode = self.provider.mode = ""
        self.hands.submit(lambda: None).result(servers.READY_SECONDS)
        self.armed = False
        self.fleet.do(self.fleet.disarm)
