"""The fleet keeps as many processes as are wanted, and tells a clean end from one that is a finding. The processes are shells."""

import pytest
from fleet import Fleet
from processes import Service

SECONDS = 20
LIVES = "trap 'exit 0' TERM; echo up; while :; do sleep 0.05; done"
FATAL = """echo '{"level":"ERROR","message":"stopped","code":"%s"}'; exit 1"""


@pytest.fixture
def fleet_of(tmp_path):
    """A fleet whose processes run these scripts, life after life; the last one again and again."""
    fleets = []

    def build(*scripts: str, budget: float = SECONDS) -> Fleet:
        def make(instance: str, life: int, file: str):
            return Service(
                file, ["sh", "-c", scripts[min(life, len(scripts)) - 1]], tmp_path, 1
            ), True

        fleets.append(Fleet(make, budget))
        return fleets[-1]

    yield build
    for fleet in fleets:
        fleet.close()


def ends(fleet: Fleet, count: int) -> list[str]:
    assert fleet.settle(lambda: len(fleet.exits) >= count, SECONDS), fleet.exits
    return [one.why for one in fleet.exits[:count]]


def up(fleet: Fleet, count: int) -> bool:
    """Waits until so many run and have said so: a signal before that would meet no trap."""
    return fleet.settle(
        lambda: [life.log().strip() for life in fleet.running("router")] == ["up"] * count, SECONDS
    )


@pytest.mark.parametrize(
    ("script", "why", "is_finding"),
    [
        pytest.param("exit 0", "by itself", True, id="nobody told it to stop"),
        pytest.param("exit 101", "by itself", True, id="panic"),
        pytest.param(
            'echo \'{"message":"dying here"}\'; kill -ABRT $$', "failpoint", False, id="failpoint"
        ),
        pytest.param("kill -SEGV $$", "by itself", True, id="crash"),
        pytest.param(FATAL % "fenced", "by design", False, id="fenced"),
        pytest.param(FATAL % "internal", "by itself", True, id="another error"),
        pytest.param(
            "echo 'precis-router: the log cannot be opened: it is away'; exit 1",
            "by design",
            False,
            id="nothing to start on",
        ),
        pytest.param(
            "echo 'precis-router: cannot listen: Address already in use'; exit 1",
            "by design",
            False,
            id="port taken",
        ),
    ],
)
def test_what_ends_is_started_again_and_its_end_is_told(fleet_of, script, why, is_finding):
    fleet = fleet_of(script, LIVES)
    fleet.do(fleet.scale, "router", 1)
    assert ends(fleet, 1) == [why] and fleet.exits[0].is_finding() == is_finding
    assert up(fleet, 1) and fleet.started["router-1"] == 2


def test_scaling_starts_and_drains_the_highest_ordinals(fleet_of):
    fleet = fleet_of(LIVES)
    fleet.do(fleet.scale, "router", 3)
    assert up(fleet, 3)
    fleet.do(fleet.scale, "router", 1)
    assert ends(fleet, 2) == ["drained", "drained"] and {one.instance for one in fleet.exits} == {
        "router-2",
        "router-3",
    }
    assert [life.instance for life in fleet.running("router")] == ["router-1"]


def test_process_that_ignores_sigterm_is_a_finding(fleet_of):
    """A process that does not end on SIGTERM is a finding, and is ended."""
    fleet = fleet_of("trap '' TERM; echo up; while :; do sleep 0.05; done", budget=0.5)
    fleet.do(fleet.scale, "router", 1)
    assert up(fleet, 1)
    fleet.do(fleet.scale, "router", 0)
    assert ends(fleet, 1) == ["overdue"] and fleet.settle(lambda: not fleet.lives, SECONDS)


def test_one_that_does_not_say_0_on_sigterm_is_a_finding(fleet_of):
    fleet = fleet_of("trap 'exit 3' TERM; echo up; while :; do sleep 0.05; done")
    fleet.do(fleet.scale, "router", 1)
    assert up(fleet, 1)
    fleet.do(fleet.scale, "router", 0)
    assert ends(fleet, 1) == ["unclean"]


def test_sigterm_before_a_process_has_said_a_word_is_no_finding(fleet_of):
    fleet = fleet_of("exec sleep 60")
    fleet.do(fleet.scale, "router", 1)
    fleet.do(fleet.scale, "router", 0)
    assert ends(fleet, 1) == ["too early"] and not fleet.exits[0].is_finding()


def test_killed_frozen_and_doubled(fleet_of, monkeypatch):
    monkeypatch.setattr("fleet.DOUBLE_EXTENSION_SECONDS", 0.5)
    fleet = fleet_of(LIVES)
    fleet.do(fleet.scale, "router", 1)
    assert up(fleet, 1)
    life = fleet.running("router")[0]
    fleet.do(fleet.double, life, 0.2)
    fleet.do(fleet.freeze, life, 0.2)
    assert ends(fleet, 1) == ["killed"] and life.service.is_running(), (
        "the double goes, the first stays"
    )
    assert fleet.settle(lambda: not fleet.frozen, SECONDS)
    fleet.do(fleet.kill, life)
    assert ends(fleet, 2) == ["killed", "killed"] and up(fleet, 1)


def test_a_double_lives_until_one_of_the_two_was_fenced(fleet_of, tmp_path):
    said = tmp_path / "fenced"
    error = '{"level":"ERROR","message":"stopped","code":"fenced"}'
    fleet = fleet_of(
        LIVES,
        f"echo up; until [ -e {said} ]; do sleep 0.05; done; echo '{error}'; while :; do sleep 0.05; done",
    )
    fleet.do(fleet.scale, "router", 1)
    assert up(fleet, 1)
    fleet.do(fleet.double, fleet.running("router")[0], 0.1)
    assert (
        fleet.settle(lambda: fleet.doubles and fleet.doubles[0].looked_at > 0, SECONDS)
        and not fleet.exits
    ), "its time is over, nobody was fenced"
    said.touch()
    assert ends(fleet, 1) == ["killed"] and fleet.running("router")
