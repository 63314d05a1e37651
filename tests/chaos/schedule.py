"""When each fault of a plan begins and ends: at its time, and later where it has met nobody yet.

A fault that met nobody shows nothing, and a run that promised it is void. So a fault that lasts is not ended at
its time but held until something was counted that it alone leads to, `EXTENSION_SECONDS` longer at most; and a
fault that needs a process is put off until one runs. What comes next on the same channel waits meanwhile.
The schedule reads no clock and does nothing: it is told the time and what was counted.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import plan
from plan import Fault

# So much longer than planned may a fault last, or be put off: as long as a rebalance of the group takes, during which nothing flows.
EXTENSION_SECONDS = 25.0
# Channels whose faults last until they have met somebody.
HELD = ("s3", "provider", "link")


@dataclass(frozen=True)
class Step:
    """What to do now: begin or end a fault."""

    what: str
    fault: Fault


@dataclass
class Schedule:
    """`met` counts what a fault has led to so far; `reachable` says whether there is anybody whom it could hit."""

    faults: list[Fault]
    met: Callable[[Fault], int]
    reachable: Callable[[Fault], bool]
    waiting: list[Fault] = field(init=False)
    # What lasts, by channel, with what had been counted when it began.
    lasting: dict[str, tuple[Fault, float, int]] = field(default_factory=dict, init=False)
    # Faults that were given up as they are: nobody was met in all the time.
    in_vain: list[Fault] = field(default_factory=list, init=False)

    def __post_init__(self):
        self.waiting = sorted(self.faults)

    def due(self, now: float) -> list[Step]:
        """The steps whose time has come, ends before beginnings."""
        steps = [
            Step("end", self.end(channel))
            for channel in list(self.lasting)
            if self.is_over(channel, now)
        ]
        for fault in [fault for fault in self.waiting if fault.at <= now]:
            channel = channel_of(fault)
            late = now - fault.at >= EXTENSION_SECONDS
            if channel in self.lasting or not (self.reachable(fault) or late):
                continue
            self.waiting.remove(fault)
            steps.append(Step("begin", fault))
            if channel in HELD and fault.seconds:
                self.lasting[channel] = (fault, now, self.met(fault))
        return steps

    def is_over(self, channel: str, now: float) -> bool:
        fault, began, counted = self.lasting[channel]
        if now < began + fault.seconds:
            return False
        if self.met(fault) > counted:
            return True
        if now >= began + fault.seconds + EXTENSION_SECONDS:
            self.in_vain.append(fault)
            return True
        return False

    def end(self, channel: str) -> Fault:
        return self.lasting.pop(channel)[0]

    def is_empty(self) -> bool:
        return not (self.waiting or self.lasting)


def channel_of(fault: Fault) -> str:
    return plan.KIND[fault.kind].channel if fault.kind in plan.KIND else fault.kind
