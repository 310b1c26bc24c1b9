"""Tests of the pure parts of sources: error classes, range sizes, poll times, endpoint scores and bloom filters."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincast.errors import SourceError
from listener.sources.backoff import MAX_BACKOFF_SECONDS, backoff
from listener.sources.base import LogFilter, RawLog
from listener.sources.bloom import BITS, compute_bloom, false_positive_rate, may_match
from listener.sources.endpoint_health import SWITCH_MARGIN, EndpointHealth
from listener.sources.faults import BlockUnavailable, RangeTooLarge, Reverted, Throttled, http_fault, rpc_fault
from listener.sources.poll_schedule import MAX_INTERVAL_SECONDS, MIN_INTERVAL_SECONDS, PollSchedule
from listener.sources.ranges import INITIAL_BLOCKS, TARGET_LOGS, RangeSize


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        (-32005, "query returned more than 10000 results", RangeTooLarge),
        (-32005, "Query returned more than 10000 results. Try with this block range [0x10, 0x1f].", RangeTooLarge),
        (
            -32602,
            "Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range",
            RangeTooLarge,
        ),
        (-32614, "eth_getLogs is limited to a 10,000 range", RangeTooLarge),
        (-32000, "exceed maximum block range: 5000", RangeTooLarge),
        (-32600, "block range is too wide", RangeTooLarge),
        (-32000, "block range too large", RangeTooLarge),
        (35, "ranges over 10000 blocks are not supported on freetier", RangeTooLarge),
        (-32602, "query exceeds max results 20000, retry with the range 100-200", RangeTooLarge),
        (-32000, "requested too many blocks from 0 to 16777216, maximum is set to 2048", RangeTooLarge),
        (-32002, "query timeout exceeded", RangeTooLarge),
        (-32008, "Response is too big", RangeTooLarge),
        (-32005, "daily request count exceeded, request rate limited", Throttled),
        (-32005, "limit exceeded", Throttled),
        (429, "Your app has exceeded its compute units per second capacity.", Throttled),
        (-32029, "Too Many Requests", Throttled),
        (-32000, "header not found", BlockUnavailable),
        (-32000, "unknown block", BlockUnavailable),
        (
            -32000,
            "One of the blocks specified in filter (fromBlock, toBlock or blockHash) cannot be found.",
            BlockUnavailable,
        ),
        (-32000, "block range extends beyond current head block", BlockUnavailable),
        (-32000, "invalid block range params", BlockUnavailable),
        (-32603, "internal error", SourceError),
        (3, "execution reverted: NOT_FOUND", Reverted),
        (-32000, "out of gas", Reverted),
        (-32015, "VM execution error.", Reverted),
    ],
)
def test_what_providers_say_is_told_apart(code: int, message: str, kind: type[SourceError]) -> None:
    fault = rpc_fault("node: eth_getLogs", {"code": code, "message": message})
    assert type(fault) is kind
    assert message[:40] in str(fault)


@pytest.mark.parametrize(
    ("message", "suggested"),
    [
        ("query returned more than 10000 results. Try with this block range [0x10, 0x1f].", 16),
        ("query exceeds max results 20000, retry with the range 100-200", 101),
        ("query returned more than 10000 results. Try with this block range [0x1f, 0x10].", None),
        ("query returned more than 10000 results", None),
    ],
)
def test_a_suggested_range_is_taken_up(message: str, suggested: int | None) -> None:
    fault = rpc_fault("m", {"code": -32005, "message": message})
    assert isinstance(fault, RangeTooLarge)
    assert fault.suggested == suggested


@pytest.mark.parametrize("error", ["text", None, 5, {}, {"code": "x"}, {"message": None}])
def test_an_error_of_any_shape_is_an_error(error: object) -> None:
    assert type(rpc_fault("m", error)) is SourceError


def test_a_key_in_a_url_is_not_repeated() -> None:
    fault = rpc_fault("m", {"code": 1, "message": "see https://node.example/v3/secret for more"})
    assert "secret" not in str(fault)


@pytest.mark.parametrize(
    ("status", "header", "kind", "seconds"),
    [
        (429, "7", Throttled, 7.0),
        (429, "Wed, 21 Oct 2026 07:28:00 GMT", Throttled, None),
        (429, "1e9", Throttled, 60.0),
        (503, None, Throttled, None),
        (413, None, RangeTooLarge, None),
        (502, "7", SourceError, None),
    ],
)
def test_http_statuses(status: int, header: str | None, kind: type[SourceError], seconds: float | None) -> None:
    fault = http_fault("m", status, header)
    assert type(fault) is kind
    assert getattr(fault, "retry_after", None) == seconds


def test_a_node_that_asks_for_time_gets_it_and_others_wait_longer_each_time() -> None:
    assert backoff(Throttled("x", 7.0), 1, 1.0) == 7.0
    delays = [backoff(SourceError("x"), n, 1.0) for n in range(1, 30)]
    assert delays[0] <= 0.2
    assert MAX_BACKOFF_SECONDS / 2 <= delays[-1] <= MAX_BACKOFF_SECONDS
    assert backoff(BlockUnavailable("x"), 1, 0.4) <= 0.1


def test_a_range_is_halved_where_it_is_refused_and_grows_to_what_is_allowed() -> None:
    ranges = RangeSize(1000)
    limit = 300
    asked = []
    assert ranges.size == INITIAL_BLOCKS
    for _ in range(80):
        asked.append(ranges.size)
        if ranges.size > limit:
            ranges.record_refusal(ranges.size)
        else:
            ranges.record_response(ranges.size, 0)
    refused = [size for size in asked if size > limit]
    assert len(refused) < 25
    assert min(asked[10:]) > limit / 3
    for _ in range(200):
        ranges.record_response(ranges.size, 0)
    assert ranges.size == 1000


def test_a_suggestion_is_followed() -> None:
    ranges = RangeSize(1000)
    ranges.record_refusal(ranges.size, 40)
    assert ranges.size == 40
    ranges.record_refusal(40, 400)  # no help
    assert ranges.size == 20


def test_busy_blocks_shrink_a_range_before_anybody_refuses() -> None:
    ranges = RangeSize(1000)
    ranges.record_response(INITIAL_BLOCKS, 5 * TARGET_LOGS)
    assert ranges.size == INITIAL_BLOCKS // 5


@given(st.lists(st.tuples(st.sampled_from(["refused", "answered"]), st.integers(0, 50_000), st.integers(1, 500))))
def test_a_range_has_always_a_block_and_never_too_many(steps: list[tuple[str, int, int]]) -> None:
    ranges = RangeSize(500)
    for step, logs, suggested in steps:
        if step == "refused":
            ranges.record_refusal(ranges.size, suggested if suggested % 2 else None)
        else:
            ranges.record_response(ranges.size, logs)
        assert 1 <= ranges.size <= 500


def test_polls_keep_to_the_chains_pace_and_learn_it() -> None:
    schedule = PollSchedule(12.0)
    now = 100.0
    assert schedule.seconds_to_next_poll(now) == min(12.0 / 8, MAX_INTERVAL_SECONDS)  # nothing is known yet
    for number in range(50):
        schedule.observe_head(number, now)
        wait = schedule.seconds_to_next_poll(now)
        now += 2.0
    assert schedule.block_seconds == pytest.approx(2.0, abs=0.05)
    assert wait == pytest.approx(1.9, abs=0.1)
    assert schedule.seconds_to_next_poll(now + 60) == pytest.approx(2.0 / 8, abs=0.05)
    schedule.observe_head(50, now + 3600)  # an hour's pause is no block time
    assert schedule.block_seconds == pytest.approx(2.0, abs=0.05)


def test_polls_are_never_too_many() -> None:
    schedule = PollSchedule(0.05)
    assert schedule.seconds_to_next_poll(5.0) == MIN_INTERVAL_SECONDS


def score(health: EndpointHealth, best: int, now: float) -> float:
    return health.score(best, 2.0, now)


def test_the_first_is_preferred_left_for_errors_and_come_back_to() -> None:
    first, second = EndpointHealth(0, head=100), EndpointHealth(1, head=100)
    assert score(first, 100, 0) < score(second, 100, 0)
    first.record_failure(0.0)
    assert score(second, 100, 0) < score(first, 100, 0)
    now = 0.0
    for _ in range(6):
        now += 5
        first.record_success(0.05, now)
        second.record_success(0.05, now)
    assert score(first, 100, now) < score(second, 100, now) - SWITCH_MARGIN


def test_one_block_behind_is_nothing_several_are() -> None:
    first, second = EndpointHealth(0, head=99), EndpointHealth(1, head=100)
    assert score(first, 100, 0) < score(second, 100, 0)
    first.head = 97
    assert score(second, 100, 0) < score(first, 100, 0)


def test_who_asked_to_be_left_alone_is_the_last_choice_until_then() -> None:
    health = EndpointHealth(0)
    health.record_failure(10.0, retry_after=30.0)
    assert score(health, 0, 39.0) > 50
    assert score(health, 0, 41.0) < 2


def test_a_slow_one_is_worse_than_a_fast_one() -> None:
    slow, fast = EndpointHealth(0), EndpointHealth(1)
    for now in range(20):
        slow.record_success(1.9, now)
        fast.record_success(0.02, now)
    assert score(fast, 0, 20) < score(slow, 0, 20)


raw_logs = st.builds(
    RawLog,
    st.binary(min_size=20, max_size=20).map(lambda b: "0x" + b.hex()),
    st.lists(st.binary(min_size=32, max_size=32), max_size=4).map(tuple),
    st.just(b""),
    st.just(0),
    st.just("0x"),
)


@given(st.lists(raw_logs, max_size=20))
def test_a_bloom_never_denies_what_is_there(logs: list[RawLog]) -> None:
    bloom = compute_bloom(logs)
    for log in logs:
        assert may_match(bloom, LogFilter((log.address,)))
        if log.topics:
            assert may_match(bloom, LogFilter((log.address, "0x" + "00" * 20), (log.topics[0],)))


def test_a_full_bloom_says_nothing_and_an_empty_one_nearly_everything() -> None:
    wanted = LogFilter(("0x" + "11" * 20,), (b"\1" * 32, b"\2" * 32))
    assert false_positive_rate(2**BITS - 1, wanted) == 1.0
    half = int("01" * (BITS // 2), 2)
    assert false_positive_rate(half, wanted) == pytest.approx(0.125 * (1 - 0.875**2))
    assert false_positive_rate(half, LogFilter((), (b"\1" * 32,))) == pytest.approx(0.125)
    assert false_positive_rate(0, wanted) == 0.0


def test_an_empty_bloom_denies_everything() -> None:
    assert not may_match(0, LogFilter(("0x" + "11" * 20,)))
    assert not may_match(0, LogFilter((), (b"\1" * 32,)))


BLOCK = Path(__file__).parents[4] / "shared" / "data" / "mainnet-17173049"


@pytest.mark.skipif(not BLOCK.exists(), reason=f"no {BLOCK}: real chain data is beside the project, not in it")
def test_the_bloom_of_a_real_block_is_the_one_in_its_header() -> None:
    logs = [json.loads(line) for line in (BLOCK / "logs.jsonl").read_text().splitlines()]
    (header,) = (json.loads(line) for line in (BLOCK / "blocks.jsonl").read_text().splitlines())
    raw = [RawLog(log["address"], tuple(bytes.fromhex(t[2:]) for t in log["topics"]), b"", 0, "") for log in logs]
    assert compute_bloom(raw) == int(header["logs_bloom"], 16)
