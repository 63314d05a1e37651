"""Servers for the whole run, a house for each test.

The servers are always started here, never taken from the environment: these tests wipe topics and kill what they talk to.
"""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "harness"))

import house as houses  # noqa: E402
import link as links  # noqa: E402
import servers  # noqa: E402
from kafka import KafkaLog  # noqa: E402

HOUSES = pytest.StashKey[list]()


@pytest.fixture(scope="session")
def running():
    servers.terminate_on_signals()
    with servers.running(list(servers.KINDS)) as started:
        yield started


@pytest.fixture
def llmock(running) -> houses.LlMock:
    mock = houses.LlMock(running["llmock"].url)
    mock.reset()
    return mock


@pytest.fixture
def kafka_house(running, tmp_path, request):
    """Builds houses on Kafka and S3: `kafka_house(*tiers, ...)`."""
    kafka = KafkaLog(f"{servers.LOOPBACK}:{running['kafka'].port}")
    yield from built(request, lambda *tiers, **more: houses.KafkaHouse(tmp_path, list(tiers), kafka, running["s3"].url, **more))
    kafka.close()


@pytest.fixture(scope="session")
def linked_kafka(tmp_path_factory):
    linked = links.LinkedKafka(tmp_path_factory.mktemp("linked"))
    yield linked
    linked.close()


@pytest.fixture
def linked_house(running, linked_kafka, tmp_path, request):
    """Builds houses whose API worker can be cut off from Kafka: `linked_house(*tiers, ...)`."""
    kafka, link = KafkaLog(f"{servers.LOOPBACK}:{linked_kafka.broker.port}"), linked_kafka.link
    yield from built(request, lambda *tiers, **more: links.LinkedHouse(tmp_path, list(tiers), kafka, running["s3"].url, link=link, **more))
    link.heal()
    kafka.close()


@pytest.fixture
def embedded_house(tmp_path, request):
    """Builds houses on the embedded log and a directory: `embedded_house(*tiers, ...)`."""
    yield from built(request, lambda *tiers, **more: houses.EmbeddedHouse(tmp_path, list(tiers), **more))


def built(request, make):
    made = request.node.stash.setdefault(HOUSES, [])

    def build(*tiers, **more):
        made.append(make(*tiers, **more))
        return made[-1]

    yield build
    for house in made:
        house.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test's report carries the end of every service's log."""
    report = yield
    if report.failed:
        for house in item.stash.get(HOUSES, []):
            report.sections.append(("services", house.logs()))
    return report
