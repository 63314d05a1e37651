"""A plan is a function of its seed, and four minutes of it hold every kind of fault."""

import plan
import pytest

SERVICES = ("router", "gpu-worker", "api-worker")
FOUR_MINUTES = 4


def test_a_plan_is_a_function_of_its_seed():
    """The same seed makes the same plan, and another seed another."""
    assert plan.plan(7, FOUR_MINUTES, SERVICES) == plan.plan(7, FOUR_MINUTES, SERVICES)
    assert plan.plan(7, FOUR_MINUTES, SERVICES) != plan.plan(8, FOUR_MINUTES, SERVICES)


@pytest.mark.parametrize("seed", range(40))
def test_four_minutes_hold_every_kind_and_end_quietly(seed):
    """Four minutes hold every kind on every service and end quietly."""
    faults = plan.plan(seed, FOUR_MINUTES, SERVICES)
    assert {fault.kind for fault in faults} == {kind.name for kind in plan.KINDS} | {plan.SCALE}
    assert {fault.target for fault in faults if fault.kind in {"kill", "terminate"}} == set(
        SERVICES
    )
    assert all(
        plan.CALM_SECONDS <= fault.at and fault.at + fault.seconds <= FOUR_MINUTES * 60
        for fault in faults
    )


@pytest.mark.parametrize("seed", range(10))
def test_no_two_faults_of_a_channel_overlap(seed):
    for channel in ("broker", "link", "s3", "provider"):
        of_channel = [
            fault
            for fault in plan.plan(seed, FOUR_MINUTES, SERVICES)
            if fault.kind in plan.KIND and plan.KIND[fault.kind].channel == channel
        ]
        assert all(
            first.at + first.seconds < second.at
            for first, second in zip(of_channel, of_channel[1:], strict=False)
        )


@pytest.mark.parametrize("seed", range(10))
def test_nothing_is_aimed_at_what_stands_still(seed):
    faults = plan.plan(seed, FOUR_MINUTES, SERVICES)
    for outage in (fault for fault in faults if fault.kind in plan.STOPS_ALL):
        over = outage.at + outage.seconds + plan.RECOVERY_SECONDS[plan.KIND[outage.kind].channel]
        during = [
            fault
            for fault in faults
            if outage.at < fault.at < over - 0.05 and fault.kind in plan.KIND
        ]
        assert {plan.KIND[fault.kind].channel for fault in during} <= {"process"}


def test_faults_are_left_out_by_kind_and_by_channel():
    """What a run has no use for is left out, by kind and by channel."""
    faults = plan.plan(1, FOUR_MINUTES, SERVICES, without=frozenset({"s3", "freeze", plan.SCALE}))
    assert not {fault.kind for fault in faults} & {"s3_503", "s3_lost_reply", "freeze", plan.SCALE}


def test_failpoints_are_a_function_of_seed_instance_and_life():
    lives = [plan.failpoints(3, "router-1", life) for life in range(60)]
    assert lives == [plan.failpoints(3, "router-1", life) for life in range(60)]
    assert lives != [plan.failpoints(3, "router-2", life) for life in range(60)]
    assert "" in lives and all(
        any(point in life for life in lives) for point in [*plan.DEATHS, "hold_completion"]
    )
