"""Tests of writing counters: bounded in time, never tried again at once, and never counted twice."""

from __future__ import annotations

import pytest

from chaincast.aws import environment
from chaincast.metrics.counter_writers import NotWritten
from chaincast.metrics.recorder import RETRY_SECONDS, WAIT_SECONDS, MetricsRecorder

OPEN = "ConnectionsOpened|dialect=chaincast.v1"


class Writer:
    """A table. `results`: what becomes of the writes, one after the other; None: it never ends. Then all succeed."""

    def __init__(self, *results: bool | Exception) -> None:
        self.results = [*results]
        self.written: list[dict[str, int]] = []
        self.waited: list[float] = []
        self._counts: dict[str, int] = {}

    def begin(self, update: object) -> Writer:
        assert isinstance(update, dict)
        names = update["ExpressionAttributeNames"]
        values = update["ExpressionAttributeValues"]
        parts = update["UpdateExpression"].split("ADD ")[1].split(", ")
        pairs = [part.split() for part in parts]
        self._counts = {names[name]: int(values[value]["N"]) for name, value in pairs}
        return self

    def wait(self, seconds: float) -> bool:
        self.waited.append(seconds)
        result = self.results.pop(0) if self.results else True
        if isinstance(result, Exception):
            raise result
        if result:
            self.written.append(self._counts)
        return result


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def state_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(environment.STATE, "state")
    monkeypatch.delenv(environment.COUNTER_SECONDS, raising=False)


def recorder(writer: Writer, clock: Clock) -> MetricsRecorder:
    return MetricsRecorder("test", writer, clock)


def opened(metrics: MetricsRecorder) -> None:
    metrics.count("ConnectionsOpened", dialect="chaincast.v1")


def test_counts_are_written_after_an_invocation() -> None:
    writer = Writer()
    metrics = recorder(writer, Clock())
    opened(metrics)
    metrics.record()
    metrics.record()
    assert writer.written == [{OPEN: 1}]
    assert writer.waited == [pytest.approx(WAIT_SECONDS)]


def test_a_write_that_takes_long_goes_on_beside_the_next_invocation_and_counts_once() -> None:
    writer = Writer(False, False, True)
    metrics = recorder(writer, Clock())
    opened(metrics)
    metrics.record()
    opened(metrics)
    metrics.record()
    assert writer.written == []
    metrics.record()
    assert writer.written == [{OPEN: 1}, {OPEN: 1}], "the second count is a write of its own"


def test_counts_that_were_certainly_not_written_are_written_some_seconds_later() -> None:
    writer, clock = Writer(NotWritten("throttled")), Clock()
    metrics = recorder(writer, clock)
    opened(metrics)
    metrics.record()
    clock.now += RETRY_SECONDS - 0.01
    opened(metrics)
    metrics.record()
    assert (writer.written, len(writer.waited)) == ([], 1), "not tried again at once"
    clock.now += 0.02
    metrics.record()
    assert writer.written == [{OPEN: 2}]


def test_counts_that_may_have_been_written_are_not_counted_twice() -> None:
    writer, clock = Writer(OSError("no response")), Clock()
    metrics = recorder(writer, clock)
    opened(metrics)
    metrics.record()
    clock.now += RETRY_SECONDS
    metrics.record()
    assert (writer.written, len(writer.waited)) == ([], 1)


def test_a_table_that_refuses_everything_costs_one_request_in_some_seconds() -> None:
    writer, clock = Writer(*[NotWritten("denied")] * 1_000), Clock()
    metrics = recorder(writer, clock)
    for _ in range(1_000):
        opened(metrics)
        metrics.record()
        clock.now += 0.01
    assert len(writer.waited) == 10.0 / RETRY_SECONDS


def test_many_series_are_written_in_parts() -> None:
    writer = Writer()
    metrics = recorder(writer, Clock())
    for number in range(250):
        metrics.count("RateLimitHits", code=f"C{number}")
    metrics.record()
    assert [len(counts) for counts in writer.written] == [100, 100, 50]
