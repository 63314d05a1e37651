"""A report for people and one for programs."""

import json
import re
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from campaign import Report


def text(report: Report) -> str:
    """What a run came to: verdict first, then why, then what happened."""
    options = report.campaign.options
    lines = [
        f"seed {options.seed}, {report.campaign.seconds:.0f} s of {len(report.campaign.faults)} faults, tiers {' '.join(options.tiers)}, "
        f"store {options.store}{', the real model' if options.real_model else ''}: {verdict(report)}"
    ]
    lines += [f"  finding  {finding.line()}" for finding in report.findings]
    lines += [f"  void     there were no {name}" for name in report.missing]
    lines += [f"  error    {report.error}"] if report.error else []
    lines += [f"  {name}: {value}" for name, value in report.figures.items()]
    lines += [
        "  happened: "
        + ", ".join(f"{count} {name}" for name, count in sorted(report.counts.items()) if count)
    ]
    ended = Counter(last_error(one.tail) for one in report.exits if one.why == "by design")
    lines += [f"  ended by design, {count} ×: {error}" for error, count in ended.most_common()]
    return "\n".join(lines)


def verdict(report: Report) -> str:
    if report.findings or report.error:
        return "FAILED"
    return "VOID" if report.missing else "the guarantee held"


def last_error(tail: str) -> str:
    """What a process said last, without what differs from one to the next."""
    said = [line for line in tail.splitlines() if line.startswith("precis-")] or tail.splitlines()[
        -1:
    ]
    return re.sub(r"[0-9a-f]{16,}", "…", said[-1].partition(": ")[2])[:300] if said else ""


def write(report: Report, folder: Path) -> None:
    """`report.json` and `report.txt`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.txt").write_text(text(report) + "\n")
    known = {
        "verdict": verdict(report),
        "options": asdict(report.campaign.options),
        "seconds": report.campaign.seconds,
        "faults": [asdict(fault) for fault in report.campaign.faults],
        "findings": [asdict(finding) for finding in report.findings],
        "missing": report.missing,
        "error": report.error,
        "figures": report.figures,
        "counts": dict(report.counts),
        "exits": [asdict(one) for one in report.exits],
    }
    (folder / "report.json").write_text(json.dumps(known, indent=1, default=str) + "\n")
