"""Servers for the whole run, a deployment for each test.

The servers are always started here, never taken from the environment: these tests wipe topics and kill what they talk to.
"""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "harness"))

import deployment as deployments  # noqa: E402
import link as links  # noqa: E402
import servers  # noqa: E402
from kafka import KafkaLog  # noqa: E402

DEPLOYMENTS = pytest.StashKey[list]()


@pytest.fixture(scope="session")
def running():
    servers.terminate_on_signals()
    with servers.running(list(servers.KINDS)) as started:
        yield started


@pytest.fixture
def llmock(running) -> deployments.LlMock:
    mock = deployments.LlMock(running["llmock"].url)
    mock.reset()
    return mock


@pytest.fixture
def kafka_deployment(running, tmp_path, request):
    """Builds deployments on Kafka and S3: `kafka_deployment(*tiers, ...)`."""
    kafka = KafkaLog(f"{servers.LOOPBACK}:{running['kafka'].port}")
    yield from built(
        request,
        lambda *tiers, **more: deployments.KafkaDeployment(
            tmp_path, list(tiers), kafka, running["s3"].url, **more
        ),
    )
    kafka.close()


@pytest.fixture(scope="session")
def linked_kafka(tmp_path_factory):
    linked = links.LinkedKafka(tmp_path_factory.mktemp("linked"))
    yield linked
    linked.close()


@pytest.fixture
def linked_deployment(running, linked_kafka, tmp_path, request):
    """Builds deployments whose API worker can be cut off from Kafka: `linked_deployment(*tiers, ...)`."""
    kafka, link = KafkaLog(f"{servers.LOOPBACK}:{linked_kafka.broker.port}"), linked_kafka.link
    yield from built(
        request,
        lambda *tiers, **more: links.LinkedDeployment(
            tmp_path, list(tiers), kafka, running["s3"].url, link=link, **more
        ),
    )
    link.heal()
    kafka.close()


@pytest.fixture
def embedded_deployment(tmp_path, request):
    """Builds deployments on the embedded log and a directory: `embedded_deployment(*tiers, ...)`."""
    yield from built(
        request,
        lambda *tiers, **more: deployments.EmbeddedDeployment(tmp_path, list(tiers), **more),
    )


def built(request, make):
    made = request.node.stash.setdefault(DEPLOYMENTS, [])

    def build(*tiers, **more):
        made.append(make(*tiers, **more))
        return made[-1]

    yield build
    for deployment in made:
        deployment.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test's report carries the end of every service's log."""
    report = yield
    if report.failed:
        for deployment in item.stash.get(DEPLOYMENTS, []):
            report.sections.append(("services", deployment.logs()))
    return report
