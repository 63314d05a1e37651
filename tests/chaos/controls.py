"""Negative controls: the same harness on services with one rule of the guarantee switched off. The oracle must notice each.

A control that nobody notices would mean that `make chaos` proves nothing about the rule. Each has the faults that make its rule
matter, for a short while; the row `none` has all of them and every rule, and must be clean: otherwise the faults alone were noticed.
"""

from dataclasses import dataclass

import plan
from arena import Options
from campaign import Campaign
from plan import KINDS, SCALE

SECONDS = 40.0
PER_SECOND = 8.0
# Enough for everything to move on again where nothing is lost: these runs are short.
STANDSTILL_SECONDS = 25.0
HOLD = "hold_completion=20%sleep(2500)"


@dataclass(frozen=True)
class Control:
    """A rule that is broken, what makes that matter, and which findings count as having noticed."""

    name: str
    failpoints: str
    faults: frozenset[str]
    noticed_by: frozenset[str]
    shares: dict[str, float]


# Two documents under one id, sent together, each to a partition of its own: their workers meet at the store.
PAIRS = {"plain": 0.7, "conflict": 0.3}


def control(
    name: str, failpoints: str, faults: str, noticed_by: str, shares: dict[str, float] | None = None
) -> Control:
    return Control(
        name,
        failpoints,
        frozenset(faults.split()),
        frozenset(noticed_by.split()),
        shares or {"plain": 1.0},
    )


CONTROLS = (
    control("none", f"{HOLD};after_commit=2%return", "scale kill freeze", "", PAIRS),
    control("control_epoch_check_off", HOLD, "scale", "duplicate"),
    control("control_commit_before_drain", HOLD, "scale", "lost"),
    control("control_plain_put", HOLD, "scale", "store duplicate", PAIRS),
    control("control_offsets_outside", "after_commit=5%return", "scale", "duplicate"),
    control("control_watermark_plus_2", HOLD, "kill", "lost"),
    control("control_adopt_nothing", HOLD, "scale", "store duplicate", PAIRS),
)


def campaign(one: Control, seed: int, profile: str) -> Campaign:
    """The run of a control."""
    sabotage = "" if one.name == "none" else f"{one.name}=return;"
    options = Options(seed, profile=profile, failpoints=sabotage + one.failpoints)
    without = frozenset({kind.name for kind in KINDS} | {SCALE}) - one.faults
    faults = plan.plan(seed, SECONDS / 60, options.services, without)
    return Campaign(
        options,
        faults,
        SECONDS,
        int(SECONDS * PER_SECOND),
        one.shares,
        full=False,
        standstill=STANDSTILL_SECONDS,
    )


def run(names: list[str], seed: int, profile: str, attempt) -> int:
    """Runs these, or all, and prints what each was noticed by; 0 when each was as it must be."""
    rows, good = [], True
    for one in CONTROLS:
        if names and one.name not in names:
            continue
        report = attempt(campaign(one, seed, profile), one.name)
        noticed = {finding.name for finding in report.findings}
        as_expected = bool(noticed & one.noticed_by) if one.noticed_by else not report.findings
        good &= as_expected and not report.error
        said = (
            "; ".join(
                f"{finding.name}: {finding.count} × {finding.what}" for finding in report.findings
            )
            or report.error[-200:]
            or "nothing"
        )
        rows.append(
            f"| `{one.name}` | {'as expected' if as_expected else 'NOT NOTICED' if one.noticed_by else 'NOT CLEAN'} | {said} |"
        )
    print(
        f"\nnegative controls, seed {seed}\n| broken on purpose | verdict | what the oracle reported |\n| --- | --- | --- |\n"
        + "\n".join(rows),
        flush=True,
    )
    return 0 if good else 1
