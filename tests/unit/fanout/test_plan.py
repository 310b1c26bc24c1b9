from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from chaincast import dialects
from chaincast.batches import Batch, Retraction
from chaincast.fanout.plan import Delivery, Encoder, audience_topics, plan
from chaincast.topics import wildcard_forms
from tests.factories import OTHER_TOKEN, TOKEN, make_batch, make_event

V1 = "chaincast.v1"
LIMIT = 32_768

BATCH = make_batch(
    make_event(0),
    make_event(1, token=OTHER_TOKEN),
    make_event(2, kind="token.created"),
    retracted=(Retraction("old", (f"trades:anvil:{TOKEN}", "network:anvil")),),
)


def received(deliveries: list[Delivery]) -> dict[str, list[dict[str, object]]]:
    """What each connection is told, parsed."""
    found: dict[str, list[dict[str, object]]] = defaultdict(list)
    for delivery in deliveries:
        for connection in delivery.connections:
            assert connection not in found
            found[connection] += [json.loads(p) for p in delivery.payloads]
    return found


def make_plan(batch: Batch, subscriptions: dict[str, list[str]], limit: int = LIMIT) -> list[Delivery]:
    masks = audience_topics(batch)
    return plan(batch, masks, {t: [(c, V1) for c in cs] for t, cs in subscriptions.items() if t in masks}, limit)


def test_topics_of_a_batch_include_wildcards_and_retractions() -> None:
    masks = audience_topics(BATCH)
    assert masks[f"trades:anvil:{TOKEN}"] == 0b1001
    assert masks["trades:*:*"] == 0b1011
    assert masks["tokens:anvil"] == 0b0100
    assert masks["network:*"] == 0b1111


def test_each_connection_sees_its_topics_once_retractions_first() -> None:
    told = received(
        make_plan(BATCH, {"trades:*:*": ["a", "b"], f"trades:anvil:{TOKEN}": ["a", "c"], "tokens:anvil": ["d"]})
    )
    assert [m["type"] for m in told["a"]] == ["retracted", "events"]
    assert told["a"][0]["ids"] == ["old"]
    assert [e["log_index"] for e in told["a"][1]["events"]] == [0, 1]  # type: ignore[attr-defined]  # parsed JSON
    assert told["a"] == told["b"]
    assert [e["log_index"] for e in told["c"][1]["events"]] == [0]  # type: ignore[attr-defined]  # parsed JSON
    assert [m["type"] for m in told["d"]] == ["events"]


def test_connections_that_see_the_same_share_their_payloads() -> None:
    deliveries = make_plan(BATCH, {"network:anvil": ["a", "b"], "network:*": ["b", "c"]})
    assert len(deliveries) == 1
    assert sorted(deliveries[0].connections) == ["a", "b", "c"]


def test_nobody_listens_nothing_is_encoded() -> None:
    assert make_plan(BATCH, {}) == []


def test_only_the_last_message_carries_the_batchs_cursor() -> None:
    deliveries = make_plan(make_batch(*(make_event(i) for i in range(20)), seq=9), {"network:*": ["a"]}, limit=2000)
    cursors = [m["cursor"] for m in received(deliveries)["a"]]
    assert len(cursors) > 3
    assert cursors == ["000000000008"] * (len(cursors) - 1) + ["000000000009"]


def test_no_part_but_the_last_ends_on_the_batchs_cursor() -> None:
    batch = replace(make_batch(make_event(0), seq=9), part=0, parts=2)
    told = received(make_plan(batch, {"network:*": ["a"]}))
    assert [m["cursor"] for m in told["a"]] == ["000000000008"]


def test_an_event_longer_than_the_limit_goes_alone() -> None:
    big = make_event(1, data={"text": "x" * 5000})
    batch = make_batch(make_event(0), big, make_event(2))
    told = received(make_plan(batch, {"network:*": ["a"]}, limit=2000))["a"]
    assert [[e["log_index"] for e in m["events"]] for m in told] == [[0], [1], [2]]  # type: ignore[attr-defined]


class Counting:
    """A dialect that counts what it encodes."""

    def __init__(self) -> None:
        self.inner = dialects.get(V1)
        self.encoded = 0

    def __getattr__(self, name: str) -> object:
        if name == "event":
            self.encoded += 1
        return getattr(self.inner, name)


def test_each_event_is_encoded_once_whatever_views_there_are() -> None:
    counting = Counting()
    batch = make_batch(*(make_event(i) for i in range(6)))
    encoder = Encoder(batch, counting, LIMIT)  # type: ignore[arg-type]  # stands in for a dialect
    for mask in range(1, 64):
        encoder.payloads(mask)
    assert counting.encoded == 6


tokens = st.sampled_from([TOKEN, OTHER_TOKEN, None])
kinds = st.sampled_from(["trade", "token.created", "contract.event"])
batches = st.lists(st.tuples(kinds, tokens), max_size=12).map(
    lambda made: make_batch(*(make_event(i, kind=kind, token=token) for i, (kind, token) in enumerate(made)))
)
made_topics = [
    t
    for kind in ("trade", "token.created")
    for token in (TOKEN, OTHER_TOKEN)
    for t in make_event(kind=kind, token=token).topics
]
every_topic = sorted({form for topic in made_topics for form in wildcard_forms(topic)})


@given(
    batches, st.dictionaries(st.sampled_from(every_topic), st.lists(st.sampled_from("abcd"))), st.integers(700, 3000)
)
def test_the_plan_is_what_asking_each_connection_and_event_gives(
    batch: Batch, subscriptions: dict[str, list[str]], limit: int
) -> None:
    deliveries = make_plan(batch, subscriptions, limit)
    told = received(deliveries)
    for connection in "abcd":
        mine = {topic for topic, connections in subscriptions.items() if connection in connections}
        wanted = [e.id for e in batch.events if any(form in mine for t in e.topics for form in wildcard_forms(t))]
        got = [e["id"] for m in told.get(connection, []) for e in m["events"]]  # type: ignore[attr-defined]
        assert got == wanted
    assert all(len(p) <= limit or json.loads(p)["events"][1:] == [] for d in deliveries for p in d.payloads)
