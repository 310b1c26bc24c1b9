from __future__ import annotations

from typing import Any

import pytest

from chaincast.model.topics import Topic
from chaincast.policy.premium_topics import Premium


@pytest.mark.parametrize(
    ("topic", "covered"),
    [
        ("alerts:whale", True),
        ("alerts:*", True),
        ("trades:base:0xab", True),
        ("trades:*:0xab", True),
        ("trades:*:*", True),
        ("trades:bsc:0xab", False),
        ("price:BTC", True),
        ("price:*", True),
        ("price:ETH", False),
        ("network:base", False),
        ("system", False),
    ],
)
def test_a_topic_is_premium_if_anything_that_it_carries_is(topic: str, covered: bool) -> None:
    assert Premium(("alerts", "trades:base:*", "price:BTC"), "plan").covers(Topic.parse(topic)) == covered


@pytest.mark.parametrize(
    ("values", "claims", "allowed"),
    [
        ((), {"plan": True}, True),
        ((), {"plan": "pro"}, True),
        ((), {"plan": False}, False),
        ((), {"plan": ""}, False),
        ((), {}, False),
        (("pro", "2"), {"plan": "pro"}, True),
        (("pro", "2"), {"plan": 2}, True),
        (("pro", "2"), {"plan": ["free", "pro"]}, True),
        (("pro", "2"), {"plan": "free"}, False),
        (("pro", "2"), {"plan": {"pro": 1}}, False),
        (("pro", "2"), {"plan": None}, False),
        (("True",), {"plan": True}, True),
    ],
)
def test_what_a_token_must_say(values: tuple[str, ...], claims: dict[str, Any], allowed: bool) -> None:
    assert Premium(("alerts",), "plan", values).allows(claims) == allowed
