from __future__ import annotations

import json
from collections import Counter
from copy import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincast.fanout.plan import Plan, View, limited, merged
from chaincast.model.events import Event
from chaincast.protocol.dialects import registry
from chaincast.protocol.dialects.base import Chains, Dialect
from tests.factories import make_batch
from tests.unit.protocol.sample_events import CAMPAIGN, CHAINS, CREATED, PRICE, TRADE

KASPUMP, ADSTACK, COREMEM = "socketio/kaspump", "socketio/adstack", "coremem"
views = st.dictionaries(st.sampled_from([KASPUMP, ADSTACK, "moonx"]), st.integers(1, 255), min_size=1, max_size=3).map(
    lambda masks: tuple(sorted(masks.items()))
)


@given(views, views)
def test_merging_loses_nothing_and_has_no_order(one: View, other: View) -> None:
    both = merged(one, other)
    assert both == merged(other, one) == tuple(sorted(both))
    for name in {n for n, _ in (*one, *other)}:
        assert dict(both)[name] == dict(one).get(name, 0) | dict(other).get(name, 0)


@given(views, st.integers(0, 255))
def test_limiting_leaves_no_empty_mask(view: View, mask: int) -> None:
    left = limited(view, mask)
    assert all(0 < seen <= mask for _, seen in left)
    assert {n: seen & mask for n, seen in view if seen & mask} == dict(left)


def test_several_vocabularies_on_one_connection_keep_the_order_of_events() -> None:
    plan = Plan([make_batch(CREATED, TRADE, CAMPAIGN, TRADE)], 32_768, CHAINS)
    messages = plan.messages(((ADSTACK, 0b0110), (KASPUMP, 0b1011)))
    told = [(name, data.get("type")) for name, data in (json.loads(m[2:]) for m in messages)]
    assert told == [
        ("token:created", None),
        ("event", "trade"),
        ("trade:new", "buy"),
        ("event", "campaign_created"),
        ("trade:new", "buy"),
    ]


def test_a_message_has_one_channel_and_events_keep_their_order_within() -> None:
    plan = Plan([make_batch(TRADE, PRICE, CREATED, TRADE, PRICE, CAMPAIGN)], 32_768, CHAINS)
    messages = [json.loads(m) for m in plan.messages(((COREMEM, 0b111111),))]
    assert [(m["channel"], len(m["data"][m["channel"]])) for m in messages] == [
        ("trades", 2),
        ("prices", 2),
        ("tokens", 1),
    ]


def test_each_dialect_encodes_an_event_once_however_many_views_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: Counter[str] = Counter()
    made = registry.get

    def counting(name: str, chains: Chains) -> Dialect:
        dialect = copy(made(name, chains))
        encode = dialect.event_fragment

        def event(told: Event) -> bytes | None:
            encoded[name] += 1
            return encode(told)

        monkeypatch.setattr(dialect, "event_fragment", event)
        return dialect

    monkeypatch.setattr(registry, "get", counting)
    names = ("chaincast.v1", COREMEM, "moonx", KASPUMP, ADSTACK)
    plan = Plan([make_batch(CREATED, TRADE, PRICE)], 32_768, CHAINS)
    for name in names:
        for mask in range(1, 8):
            plan.messages(((name, mask),))
    plan.messages(((ADSTACK, 0b111), (KASPUMP, 0b111)))
    assert encoded == dict.fromkeys(names, 3)
