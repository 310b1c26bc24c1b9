from __future__ import annotations

import json
from typing import Any

import pytest

from listener import metrics as module
from listener.metrics import ListenerMetrics


def printed(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    times = {"monotonic": 1000.0, "time": 1_700_000_100.0}
    monkeypatch.setattr(module, "monotonic", lambda: times["monotonic"])
    monkeypatch.setattr(module, "time", lambda: times["time"])
    return times


def test_a_minute_of_work_is_printed_once_as_emf(clock: dict[str, float], capsys: pytest.CaptureFixture[str]) -> None:
    metrics = ListenerMetrics("bsc")
    metrics.observe_head(110)
    metrics.count_written(100, 1_700_000_097, events=30)
    metrics.count_written(104, 1_700_000_098, events=90, blocks=4)
    metrics.count_reorganisation(3)
    metrics.count_failover("2:b")
    for milliseconds in range(1, 301):
        metrics.count_call("1:a", milliseconds / 1000, failed=milliseconds % 100 == 0)
    metrics.print_when_due()
    assert printed(capsys) == []
    clock["monotonic"] += 60
    metrics.print_when_due()
    network, endpoint = printed(capsys)
    assert network["network"] == "bsc"
    figures = {
        "BlocksPerSecond": 5 / 60,
        "EventsPerSecond": 2.0,
        "Reorgs": 1,
        "ReorgDepth": 3,
        "Failovers": 1,
        "HeadLagBlocks": 6,
        "HeadLagSeconds": 2.0,
    }
    assert {name: network[name] for name in figures} == {name: [value] for name, value in figures.items()}
    assert (endpoint["endpoint"], endpoint["RpcErrors"], endpoint["RpcCalls"]) == ("1:a", [3], [300])
    assert len(endpoint["RpcLatency"]) <= 100
    assert max(endpoint["RpcLatency"]) == 300.0
    metrics.print_when_due()
    assert printed(capsys) == []


def test_that_it_stopped_is_told_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    ListenerMetrics("bsc").print_stopped()
    (told,) = printed(capsys)
    assert (told["network"], told["ListenerStopped"]) == ("bsc", [1])
    (directive,) = told["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "Chaincast"
    assert sorted(directive["Dimensions"][0]) == ["network", "service"]


def test_before_the_first_block_there_is_no_lag(clock: dict[str, float], capsys: pytest.CaptureFixture[str]) -> None:
    metrics = ListenerMetrics("bsc")
    clock["monotonic"] += 61
    metrics.print_when_due()
    (network,) = printed(capsys)
    assert "HeadLagBlocks" not in network
    assert network["BlocksPerSecond"] == [0.0]
