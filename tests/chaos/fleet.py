"""The services as an orchestrator runs them: so many instances of each, named for ever, and started again when they end.

One thread starts, watches and ends them all (a child lives as long as the thread that started it); others ask by `do`. What ends
without having been told to is started again after `RESTART_SECONDS` and kept in the list of exits with the end of its log:

| exit | meaning |
| --- | --- |
| killed | this fleet sent SIGKILL |
| drained | SIGTERM, and 0 within its budget |
| too early | SIGTERM before it had said a word: it had no handler yet, and nothing to drain |
| failpoint, document | it killed itself where it was told to, or on a document that does that |
| by design | a fatal error that only a new process helps: fenced, a client beyond repair, a dependency away at start |
| overdue, unclean, by itself | a finding |
"""

import contextlib
import queue
import re
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass

from processes import Service

RESTART_SECONDS = 0.3
POLL_SECONDS = 0.1
SCRAPE_SECONDS = 1.0
# A second process of one name lives until one of the two was fenced, so much longer than planned at most.
DOUBLE_EXTENSION_SECONDS = 25.0
DOUBLE_LOOK_SECONDS = 1.0
# How an error says that somebody else goes by the name now, whatever was being done.
FENCED = ("fenced", "old epoch")
# Errors after which only a new process helps: it says why and ends, and the orchestrator starts another.
BY_DESIGN = {"fenced", "kafka_client"}
# Its port for metrics was free when it was chosen; a connection of somebody's may have taken it since.
PORT_TAKEN = "Address already in use"
CODE = re.compile(r'"code":"([a-z_]+)"')
# What is written by a failpoint, and by the backend of unique answers about a document, before they kill their process.
DIES_HERE = {"dying here": "failpoint", "a document kills this process": "document"}


@dataclass(frozen=True)
class Exit:
    """How one life of one instance ended."""

    instance: str
    code: int | None
    why: str
    seconds: float
    tail: str

    def is_finding(self) -> bool:
        return self.why in {"overdue", "unclean", "by itself"}


class Life:
    """One process of one instance."""

    def __init__(self, service: Service, instance: str, armed: bool):
        self.service, self.instance, self.armed = service, instance, armed
        self.began = time.monotonic()
        self.log_start = service.log.stat().st_size if service.log.exists() else 0
        self.told: str | None = None
        self.told_at = 0.0
        self.metrics: dict[str, float] = {}
        # Of a double: whose name it has, and how late it was when its log was looked at last.
        self.twin: Life | None = None
        self.looked_at = -DOUBLE_LOOK_SECONDS

    def log(self) -> str:
        with self.service.log.open("rb") as log:
            log.seek(self.log_start)
            return log.read().decode(errors="replace")

    def tell(self, why: str, number: int) -> None:
        self.told, self.told_at = why, time.monotonic()
        self.service.process.send_signal(number)


class Fleet:
    """`make(instance, life, file)` builds the process of one life, and says whether it may die by itself; logs and settings are named
    after `file`. `budget` bounds what SIGTERM may take, in seconds.
    """

    def __init__(self, make, budget: float):
        self.make, self.budget = make, budget
        self.wanted: dict[str, int] = {}
        self.lives: dict[str, Life] = {}
        self.doubles: list[Life] = []
        self.frozen: dict[str, float] = {}
        self.exits: list[Exit] = []
        self.started: Counter[str] = Counter()
        self.metrics: Counter[str] = Counter()
        # Every series that any process ever showed, without its value.
        self.series: set[str] = set()
        self.due: dict[str, float] = {}
        self.calls: queue.Queue = queue.Queue()
        self.over = threading.Event()
        self.broken: Exception | None = None
        self.thread = threading.Thread(target=self.watch, name="chaos-fleet")
        self.thread.start()

    # What others ask for; everything below runs on the fleet's own thread.

    def do(self, call, *arguments) -> None:
        """Has the fleet's thread call something, in order, and returns at once."""
        self.calls.put((call, arguments))

    def settle(self, condition, seconds: float) -> bool:
        """Waits until the condition holds; `False` when it did not in time."""
        deadline = time.monotonic() + seconds
        while not condition():
            if self.broken:
                raise self.broken
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def running(self, service: str = "") -> list[Life]:
        """Those that run now and were told nothing, in a stable order."""
        return [
            life
            for name, life in sorted(self.lives.items())
            if name.startswith(service) and not life.told and life.service.is_running()
        ]

    def close(self) -> None:
        """Ends everything, whatever it does."""
        self.over.set()
        self.thread.join()

    def watch(self) -> None:
        try:
            scrape = 0.0
            while not self.over.is_set():
                self.turn()
                if time.monotonic() >= scrape:
                    self.scrape()
                    scrape = time.monotonic() + SCRAPE_SECONDS
        except Exception as error:
            self.broken = error
        finally:
            for life in [*self.lives.values(), *self.doubles]:
                life.service.kill()

    def turn(self) -> None:
        with contextlib.suppress(queue.Empty):
            call, arguments = self.calls.get(timeout=POLL_SECONDS)
            call(*arguments)
        self.wake()
        self.note_ended()
        self.start_missing()

    def scale(self, service: str, count: int) -> None:
        """Wants so many instances: the highest ordinals come and go. Those that go are told gently."""
        self.wanted[service] = count
        for instance, life in self.lives.items():
            name, _, ordinal = instance.rpartition("-")
            if name == service and int(ordinal) > count and not life.told:
                self.terminate(life)

    def kill(self, life: Life) -> None:
        life.tell("killed", signal.SIGKILL)

    def terminate(self, life: Life) -> None:
        if life.service.is_running() and not life.told:
            self.unfreeze(life.instance)
            self.scrape_one(life)
            life.tell("terminated", signal.SIGTERM)

    def freeze(self, life: Life, seconds: float) -> None:
        life.service.process.send_signal(signal.SIGSTOP)
        self.frozen[life.instance] = time.monotonic() + seconds

    def double(self, life: Life, seconds: float) -> None:
        """A second process of the same name beside the first; killed once one of the two was fenced, if it still lives."""
        second = self.new(life.instance, f"{life.instance}-double")
        second.told_at = time.monotonic() + seconds
        second.twin = life
        self.doubles.append(second)

    def has_done(self, double: Life) -> bool:
        """Whether a double's time is over: somebody was fenced, or nobody was for too long."""
        late = time.monotonic() - double.told_at
        if late < 0 or late - double.looked_at < DOUBLE_LOOK_SECONDS:
            return False
        double.looked_at = late
        return late >= DOUBLE_EXTENSION_SECONDS or any(
            was_fenced(life.log()) for life in (double, double.twin)
        )

    def disarm(self) -> None:
        """Replaces every process that has failpoints by one that has none."""
        for life in list(self.lives.values()):
            if life.armed:
                self.terminate(life)

    # The watch.

    def new(self, instance: str, file: str) -> Life:
        self.started[instance] += 1
        service, armed = self.make(instance, self.started[instance], file)
        life = Life(service, instance, armed)
        service.launch()
        return life

    def start_missing(self) -> None:
        now = time.monotonic()
        for service, count in self.wanted.items():
            for ordinal in range(1, count + 1):
                instance = f"{service}-{ordinal}"
                if instance not in self.lives and now >= self.due.get(instance, 0):
                    self.lives[instance] = self.new(instance, instance)

    def wake(self) -> None:
        for instance, until in list(self.frozen.items()):
            if time.monotonic() >= until:
                self.unfreeze(instance)

    def unfreeze(self, instance: str) -> None:
        if (
            self.frozen.pop(instance, None)
            and (life := self.lives.get(instance))
            and life.service.is_running()
        ):
            life.service.process.send_signal(signal.SIGCONT)

    def note_ended(self) -> None:
        now = time.monotonic()
        for instance, life in list(self.lives.items()):
            if (
                life.told == "terminated"
                and life.service.is_running()
                and now - life.told_at > self.budget
            ):
                self.exits.append(self.exit(life, "overdue"))
                life.tell("overdue", signal.SIGKILL)
            if not life.service.is_running():
                self.remember(life)
                del self.lives[instance]
                self.frozen.pop(instance, None)
                self.due[instance] = now + RESTART_SECONDS
        for life in list(self.doubles):
            if life.service.is_running() and self.has_done(life):
                life.tell("killed", signal.SIGKILL)
            if not life.service.is_running():
                self.remember(life)
                self.doubles.remove(life)

    def remember(self, life: Life) -> None:
        for name, value in life.metrics.items():
            self.metrics[name] += value
        if life.told != "overdue":
            self.exits.append(self.exit(life, why(life)))

    def exit(self, life: Life, reason: str) -> Exit:
        since = life.told_at if life.told else life.began
        tail = "\n".join(life.log().splitlines()[-12:])
        return Exit(
            life.instance, life.service.process.poll(), reason, time.monotonic() - since, tail
        )

    def scrape(self) -> None:
        for life in [*self.lives.values(), *self.doubles]:
            if life.service.is_running() and life.instance not in self.frozen:
                self.scrape_one(life)

    def scrape_one(self, life: Life) -> None:
        """Counters as they stand; of a process that dies, what it counted since is not known."""
        if (page := life.service.get("/metrics")) is None:
            return
        for line in page.splitlines():
            name, _, value = line.rpartition(" ")
            self.series.add(name)
            if name and not name.startswith("#") and "_total" in name.partition("{")[0]:
                life.metrics[name] = float(value)


def was_fenced(log: str) -> bool:
    """Whether a log has an error which says that another process goes by the name now."""
    errors = (line for line in log.splitlines() if '"level":"ERROR"' in line)
    return any(word in line for line in errors for word in FENCED)


def why(life: Life) -> str:
    """What an end means, by what it was told and what it said."""
    code = life.service.process.returncode
    if life.told == "killed":
        return "killed"
    if life.told == "terminated" and code == 0:
        return "drained"
    if life.told == "terminated" and code == -signal.SIGTERM and not life.log():
        return "too early"
    last = life.log().splitlines()[-40:]
    if died := [what for said, what in DIES_HERE.items() if any(said in line for line in last)]:
        return died[0]
    said = {
        found.group(1)
        for line in last
        if '"level":"ERROR"' in line
        for found in CODE.finditer(line)
    }
    # Before it has a log and a group it says in words what it cannot reach.
    at_start = any(
        line.startswith("precis-") and ("cannot be" in line or PORT_TAKEN in line) for line in last
    )
    if code == 1 and (said & BY_DESIGN or at_start):
        return "by design"
    return "unclean" if life.told == "terminated" else "by itself"
