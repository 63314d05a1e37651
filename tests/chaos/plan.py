"""What goes wrong and when: a pure function of a seed, so that a run that found something can be run again.

A run is faults for `minutes`, each kind at least once where the time allows, and then quiet. Faults of one channel (the broker,
the way to Kafka, the store, the provider) never overlap, since two at once would be a third kind; faults of different channels do.
Processes are killed, stopped, frozen, doubled and scaled all the while.

The plan is what is asked for. Which process a fault hits is decided by `pick` among those that run then: time is not simulated.
"""

from dataclasses import dataclass
from random import Random

# Nothing goes wrong before everything has started to work, or most faults would hit services that are asleep.
CALM_SECONDS = 6.0
MAX_INSTANCES = 3


@dataclass(frozen=True)
class Kind:
    """A kind of fault: what it disturbs, how often it is drawn compared with the others, and how long it may last."""

    name: str
    channel: str
    weight: float
    shortest: float = 0.0
    longest: float = 0.0


KINDS = (
    Kind("kill", "process", 6),
    Kind("terminate", "process", 4),
    # Longer than a session and than a transaction may last: it wakes up as somebody whose work was given away.
    Kind("freeze", "process", 2, 11, 14),
    # Two live processes of one name, as after a partition of the network: one of them must give way.
    Kind("double", "process", 2, 3, 6),
    Kind("broker_kill", "broker", 1, 0.5, 3),
    # Longer than its session with the controller: it is fenced, and partitions have no leader until it is heard of again.
    Kind("broker_freeze", "broker", 1, 4, 7),
    Kind("link_cut", "link", 3),
    Kind("link_stall", "link", 2, 2, 9),
    Kind("link_slow", "link", 2, 3, 8),
    Kind("s3_503", "s3", 2, 2, 6),
    Kind("s3_409", "s3", 2, 2, 6),
    Kind("s3_slow", "s3", 2, 2, 6),
    Kind("s3_lost_reply", "s3", 3, 3, 7),
    Kind("provider_429", "provider", 1, 2, 5),
    Kind("provider_500", "provider", 1, 2, 5),
    Kind("provider_529", "provider", 1, 2, 5),
    Kind("provider_garbage", "provider", 1, 2, 5),
    Kind("provider_half", "provider", 1, 2, 5),
    Kind("provider_silent", "provider", 1, 2, 5),
)
KIND = {kind.name: kind for kind in KINDS}
# The longest of each that a fault can do to one channel: a new one waits until it is over.
RECOVERY_SECONDS = {"broker": 12.0, "link": 1.0, "s3": 0.5, "provider": 0.5, "process": 0.0}
# Nothing flows meanwhile.
STOPS_ALL = {"broker_kill", "broker_freeze", "link_stall"}
SCALE = "scale"


@dataclass(frozen=True, order=True)
class Fault:
    """One thing that goes wrong at `at` seconds, for `seconds` where it lasts; `draw` decides what it leaves open."""

    at: float
    kind: str
    target: str = ""
    seconds: float = 0.0
    draw: int = 0

    def line(self) -> str:
        lasts = f" for {self.seconds:.1f} s" if self.seconds else ""
        to = f" to {self.draw}" if self.kind == SCALE else ""
        return f"{self.at:7.1f}  {self.kind} {self.target}{to}{lasts}".rstrip()


def plan(
    seed: int, minutes: float, services: tuple[str, ...], without: frozenset[str] = frozenset()
) -> list[Fault]:
    """The faults of a run in order of time. `without`: kinds or channels that this run has no use for."""
    random = Random(f"precis chaos plan 2 {seed}")
    kinds = [kind for kind in KINDS if not {kind.name, kind.channel} & without]
    end = minutes * 60
    faults = drawn(random, kinds, end, services)
    if SCALE not in without:
        faults += scaling(random, end, services)
    return sorted(faults)


def drawn(random: Random, kinds: list[Kind], end: float, services: tuple[str, ...]) -> list[Fault]:
    """Every kind once in a random order, then as the weights say, each channel one fault at a time."""
    faults, free = [], dict.fromkeys(RECOVERY_SECONDS, 0.0)
    deck = random.sample(kinds, len(kinds))
    at = CALM_SECONDS
    while kinds and at < end:
        kind = deck.pop() if deck else random.choices(kinds, [kind.weight for kind in kinds])[0]
        seconds = round(random.uniform(kind.shortest, kind.longest), 1)
        # What stops everything goes last: what was drawn before must have had something to disturb.
        start = round(
            max(at, *free.values()) if kind.name in STOPS_ALL else max(at, free[kind.channel]), 1
        )
        target = random.choice(services) if kind.channel == "process" else ""
        over = start + seconds + RECOVERY_SECONDS[kind.channel]
        if start + seconds <= end:
            faults.append(Fault(start, kind.name, target, seconds, random.randrange(1 << 30)))
            # Another channel's fault would hit nobody meanwhile. Processes may always die.
            for channel in (
                free.keys() - {"process"}
                if kind.name in STOPS_ALL
                else {kind.channel} - {"process"}
            ):
                free[channel] = max(free[channel], over)
        at += random.uniform(0.8, 3.0)
    return faults


def scaling(random: Random, end: float, services: tuple[str, ...]) -> list[Fault]:
    """Every few seconds some service has another number of instances, 1 to 3."""
    faults, count, at = [], dict.fromkeys(services, 1), CALM_SECONDS
    while at < end:
        service = random.choice(services)
        count[service] = random.choice(
            [n for n in range(1, MAX_INSTANCES + 1) if n != count[service]]
        )
        faults.append(Fault(round(at, 1), SCALE, service, draw=count[service]))
        at += random.uniform(3, 9)
    return faults


# Where a process dies by itself, with the most that is sensible as chance of each passing: rare enough that work gets done.
DEATHS = {
    "after_answer_put": 3.0,
    "after_result_put": 3.0,
    "after_produce": 5.0,
    "before_send_offsets": 5.0,
    "before_commit": 5.0,
    "after_commit": 5.0,
    "in_revoke": 25.0,
}


def failpoints(seed: int, instance: str, life: int) -> str:
    """The failpoints of one life of one instance, in the syntax of the crate `fail`; every third life has none."""
    random = Random(f"precis chaos failpoints 1 {seed} {instance} {life}")
    if random.random() < 1 / 3:
        return ""
    points = random.sample(sorted(DEATHS), 2)
    armed = [f"{point}={random.uniform(0.2, 1) * DEATHS[point]:.2f}%return" for point in points]
    if random.random() < 0.5:
        armed.append(
            f"hold_completion={random.uniform(0.5, 3):.1f}%sleep({random.choice([500, 1500, 3000])})"
        )
    return ";".join(armed)


def pick(fault: Fault, among: list) -> object | None:
    """Whom a fault hits among those there are; nobody where there is none."""
    return among[fault.draw % len(among)] if among else None
