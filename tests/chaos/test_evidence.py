"""A run is void when something that its plan promised never happened."""

import json
from collections import Counter
from pathlib import Path

import evidence
from plan import SCALE, Fault

FAULTS = [
    Fault(1, "kill", "router"),
    Fault(2, "s3_lost_reply", seconds=2),
    Fault(3, "provider_429", seconds=2),
    Fault(4, SCALE, "router", draw=3),
]


def test_each_fault_promises_what_it_does():
    promised = evidence.promised(FAULTS, per_second=20, full=False)
    assert (
        promised >= {"killed", "s3 lost_reply", "provider 429", "partitions revoked", "outcomes"}
        and "lost creates" not in promised
    )


def test_a_short_fault_may_meet_nobody_but_not_all_of_a_channel():
    promised = evidence.promised(FAULTS, per_second=2, full=False)
    assert promised >= {"s3 faults", "provider faults"} and not promised & {
        "s3 lost_reply",
        "provider 429",
    }


def test_a_full_run_promises_all_that_the_guarantee_is_about():
    assert evidence.promised([], per_second=5, full=True) >= {
        "aborted transactions",
        "replays",
        "lost creates",
        "failpoint",
        "escalations",
    }


def test_what_did_not_happen_is_missing():
    counts = Counter(
        {
            "killed": 2,
            "s3 lost_reply": 1,
            "outcomes": 9,
            "partitions revoked": 1,
            "partitions assigned": 1,
            "offsets checked": 1,
            "s3 faults": 1,
            "provider faults": 1,
        }
    )
    assert evidence.missing(counts, evidence.promised(FAULTS, per_second=20, full=False)) == [
        "provider 429"
    ]


def test_logs_are_counted_by_what_they_say(tmp_path):
    events = [
        {"level": "INFO", "message": "assigned"},
        {"level": "WARN", "message": "a transaction was aborted"},
        {
            "level": "ERROR",
            "message": "stopped",
            "code": "kafka_client",
            "error": "this instance has been fenced by a newer one",
        },
        {"level": "WARN", "message": "odd", "error": "fenced"},
    ]
    text = "".join(json.dumps(event) + "\n" for event in events)
    (tmp_path / "router-1.log").write_text(
        text + "precis-router: no event\n" + '{"level":"INFO","mess'
    )
    assert evidence.lines(tmp_path) == Counter(
        {"partitions assigned": 1, "aborted transactions": 1, "fenced": 1}
    )


def test_every_line_that_counts_is_one_that_services_write():
    """A log line that was put into other words would leave every run void."""
    services = Path(__file__).resolve().parents[2] / "services"
    sources = "\n".join(path.read_text() for path in services.rglob("*.rs"))
    assert not [line for line in evidence.LINES if f'"{line}"' not in sources]
