"""Tests of what follows a replay, with a replayer that ends as the test says."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from chaincast.jobs.messages import Job, RemoveHold, Replay
from chaincast.metrics.logger import make_logger
from chaincast.replay import replay_jobs
from chaincast.replay.holds import HoldReleased
from chaincast.replay.replay_jobs import (
    CONTINUE_SECONDS,
    HOLD_REMOVAL_SECONDS,
    SLOW_SECONDS,
    STALLED_SECONDS,
    ReplayJobs,
)
from chaincast.replay.replayer import Ending
from tests.unit.handler_fakes import SETTINGS, CountingMetrics, RecordingJobs, RecordingPoster

JOB = Replay("c1", "chaincast.v1", "anvil", 4, "t")
REMOVAL = RemoveHold("c1", "anvil", 4, "t")


@pytest.mark.parametrize(
    ("ending", "following"),
    [
        (Ending.LIVE, [(REMOVAL, HOLD_REMOVAL_SECONDS)]),
        (Ending.UNFINISHED, [(JOB, CONTINUE_SECONDS)]),
        (Ending.SLOW, [(JOB, SLOW_SECONDS)]),
        (Ending.GONE, []),
        (Ending.EXPIRED, []),
        (Ending.SUPERSEDED, []),
    ],
)
def test_what_follows_a_replay(
    monkeypatch: pytest.MonkeyPatch, ending: Ending, following: list[tuple[Job, int]]
) -> None:
    seconds: list[float] = []

    async def run(limit: float) -> Ending:
        seconds.append(limit)
        return ending

    monkeypatch.setattr(replay_jobs, "Replayer", lambda *_: SimpleNamespace(run=run, at=9, posted=3))
    unused: Any = None
    jobs, metrics = RecordingJobs(), CountingMetrics()
    runner = ReplayJobs(SETTINGS, unused, unused, unused, unused, jobs, unused, metrics, make_logger("test"))
    asyncio.run(runner.run(JOB, 7.0))
    assert (seconds, jobs.jobs) == ([7.0], following)
    assert metrics.counts == {"MessagesOut replay": 3}


def test_the_hold_of_a_removal_is_deleted() -> None:
    removed: list[Any] = []
    holds: Any = SimpleNamespace(remove=removed.append)
    unused: Any = None
    runner = ReplayJobs(
        SETTINGS, unused, holds, unused, unused, RecordingJobs(), unused, CountingMetrics(), make_logger("test")
    )
    asyncio.run(runner.remove_hold(REMOVAL))
    (hold,) = removed
    assert (hold.connection_id, hold.source, hold.shards, hold.token) == ("c1", "anvil", 4, "t")


def test_an_abandoned_replay_closes_its_connection_before_its_hold_is_removed() -> None:
    order: list[str] = []
    unused: Any = None
    poster: Any = RecordingPoster()
    holds: Any = SimpleNamespace(remove=lambda hold: order.append(f"removed {hold.token}"))
    api: Any = SimpleNamespace(close=lambda connection_id: order.append(f"closed {connection_id}"))
    metrics = CountingMetrics()
    runner = ReplayJobs(
        SETTINGS, unused, holds, unused, poster, RecordingJobs(), lambda: api, metrics, make_logger("test")
    )
    asyncio.run(runner.abandon(JOB))
    assert order == ["closed c1", "removed t"]
    (reason,) = poster.posted["c1"]
    assert json.loads(reason)["code"] == "INTERNAL"
    assert metrics.counts == {"ReplaysAbandoned": 1}


def test_a_hold_stays_if_its_connection_cannot_be_closed() -> None:
    removed: list[Any] = []
    unused: Any = None
    poster: Any = RecordingPoster()
    holds: Any = SimpleNamespace(remove=removed.append)

    def close(connection_id: str) -> None:
        raise RuntimeError("throttled")

    api: Any = SimpleNamespace(close=close)
    runner = ReplayJobs(
        SETTINGS, unused, holds, unused, poster, RecordingJobs(), lambda: api, CountingMetrics(), make_logger("test")
    )
    with pytest.raises(RuntimeError, match="throttled"):
        asyncio.run(runner.abandon(JOB))
    assert removed == []


@pytest.mark.parametrize(
    ("tries", "following", "order"),
    [(1, [(JOB, STALLED_SECONDS)], []), (2, [], ["closed c1", "removed t"]), (None, [], [])],
)
def test_a_connection_whose_client_reads_nothing_is_closed_at_the_second_try(
    monkeypatch: pytest.MonkeyPatch, tries: int | None, following: list[tuple[Job, int]], order: list[str]
) -> None:
    done: list[str] = []

    async def run(limit: float) -> Ending:
        return Ending.STALLED

    def stalled(hold: object) -> int:
        if tries is None:
            raise HoldReleased
        return tries

    monkeypatch.setattr(replay_jobs, "Replayer", lambda *_: SimpleNamespace(run=run, at=9, posted=0))
    unused: Any = None
    holds: Any = SimpleNamespace(stalled=stalled, remove=lambda hold: done.append(f"removed {hold.token}"))
    api: Any = SimpleNamespace(close=lambda connection_id: done.append(f"closed {connection_id}"))
    jobs, metrics = RecordingJobs(), CountingMetrics()
    runner = ReplayJobs(SETTINGS, unused, holds, unused, unused, jobs, lambda: api, metrics, make_logger("test"))
    asyncio.run(runner.run(JOB, 7.0))
    assert (jobs.jobs, done) == (following, order)
    assert metrics.counts.get("SlowConnectionsClosed", 0) == (tries == 2)
