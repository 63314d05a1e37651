"""What a process has used, from /proc (Linux)."""

import os
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """Processor time of all threads, and resident memory now and at most."""

    cpu_seconds: float
    rss_mib: float
    peak_rss_mib: float

    @classmethod
    def of(cls, pid: int) -> "Usage":
        # The second field is the name, in parentheses, and may hold anything (proc(5)).
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        lines = (
            line.partition(":") for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        )
        mib = {
            name: int(value.split()[0]) / 1024
            for name, _, value in lines
            if name in {"VmRSS", "VmHWM"}
        }
        return cls(
            (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND, mib["VmRSS"], mib["VmHWM"]
        )
