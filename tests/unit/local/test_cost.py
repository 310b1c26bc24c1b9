"""Tests of the cost model of `chaincast cost`."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.commands.cost import Costs, Load, monthly, other_service, read_prices, tiered

PRICES = read_prices()
MONTH = 730 * 3600
BUSY = Load(connections=10_000, events=50, subscribers=200)


def total(load: Load, *, unbatched: bool = False) -> float:
    return sum(monthly(load, PRICES, unbatched=unbatched).values())


@pytest.mark.parametrize(("amount", "price"), [(0, 0), (1, 2), (10, 20), (11, 21), (30, 40), (31, 40.5), (40, 45)])
def test_tiers(amount: float, price: float) -> None:
    assert tiered(amount, [[10, 2.0], [30, 1.0], [0, 0.5]]) == price


def test_one_message_per_second_costs_the_published_price() -> None:
    """One event per second to one client: a post, pings and their replies; no other messages."""
    load = Load(connections=1, events=1, subscribers=1, batches=1, lifetime=1e12)
    pings = 0.25 / 60
    assert monthly(load, PRICES)["API Gateway: messages"] == pytest.approx((1 + 2 * pings) * MONTH / 1e6)
    assert monthly(load, PRICES)["API Gateway: connection minutes"] == pytest.approx(730 * 60 / 1e6 * 0.25)


def test_messages_of_more_than_32_kb_count_as_several() -> None:
    small, large = (Load(connections=1, events=1, subscribers=1, bytes=n, lifetime=1e12) for n in (32_768, 32_769))
    pings = 2 * 0.25 / 60
    ratio = monthly(large, PRICES)["API Gateway: messages"] / monthly(small, PRICES)["API Gateway: messages"]
    assert ratio == pytest.approx((2 + pings) / (1 + pings))


def test_a_block_is_one_message_to_each_connection() -> None:
    all_connections = Load(connections=100, events=50, subscribers=100, batches=1)
    assert all_connections.deliveries == 5000
    assert all_connections.posts == 100
    alone = replace(all_connections, batches=50)
    assert alone.posts == pytest.approx(5000)


@given(
    connections=st.integers(1, 100_000),
    events=st.floats(0.01, 1000),
    share=st.floats(0, 1),
    batches=st.floats(0.01, 1000),
)
def test_never_more_messages_than_deliveries_nor_than_connections(
    connections: int, events: float, share: float, batches: float
) -> None:
    load = Load(connections=connections, events=events, subscribers=share * connections, batches=min(batches, events))
    assert 0 <= load.posts <= load.deliveries * (1 + 1e-9)
    assert load.posts <= load.batches * connections * (1 + 1e-9)


def test_more_load_of_any_kind_costs_more() -> None:
    for name in ("connections", "events", "subscribers", "bytes", "networks", "topics"):
        assert total(replace(BUSY, **{name: getattr(BUSY, name) * 2})) > total(BUSY), name


def test_unbatched_posts_cost_more_messages_and_time() -> None:
    batched, unbatched = monthly(BUSY, PRICES), monthly(BUSY, PRICES, unbatched=True)
    higher = {line for line in batched if unbatched[line] > batched[line] * 1.01}
    assert higher == {"API Gateway: messages", "Lambda: time"}
    costs = Costs()
    posting = BUSY.deliveries / costs.boto3_posts_per_second * costs.fanout_gb * MONTH * PRICES["lambda"]["gb_second"]
    assert unbatched["Lambda: time"] == pytest.approx(posting, rel=0.2)


@pytest.mark.parametrize("service", ["appsync_events", "iot_core"])
def test_other_services_cost_their_published_prices(service: str) -> None:
    load = Load(connections=100, events=10, subscribers=10, lifetime=1e12)
    lines = other_service(load, PRICES, service)
    assert lines["messages"] == pytest.approx((10 + 100) * MONTH / 1e6)
    assert lines["connection minutes"] == pytest.approx(100 * 730 * 60 / 1e6 * 0.08)


def test_the_prices_have_a_date_and_a_region() -> None:
    assert (len(PRICES["date"]), PRICES["region"]) == (10, "us-east-1")
