"""A run goes on for a while with what it promised and lacks."""

from collections import Counter
from types import SimpleNamespace

import campaign
import evidence
import pytest


@pytest.mark.parametrize("lacks_for", [0, 1, 9])
def test_a_run_waits_for_a_partition_read_again(lacks_for, monkeypatch):
    one = campaign.Campaign(None, [], 60.0, 60, recreates=True)
    spent = []

    def so_far(_arena):
        counts = Counter(dict.fromkeys(one.promised(), 1))
        counts[evidence.READ_AGAIN] = int(len(spent) > lacks_for)
        return counts

    def go_wrong(_arena, faults, seconds, *_):
        assert faults == []
        spent.append(seconds)
        return 0

    monkeypatch.setattr(evidence, "so_far", so_far)
    monkeypatch.setattr(campaign, "go_wrong", go_wrong)
    publisher = SimpleNamespace(stream=lambda *_: None)
    assert campaign.endure(SimpleNamespace(options=None), one, publisher, lambda _: None) == 0
    overtimes = min(lacks_for, campaign.OVERTIMES)
    assert spent == [60.0] + [campaign.OVERTIME_SECONDS] * overtimes
