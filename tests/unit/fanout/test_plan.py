from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincast.fanout.plan import Plan, View
from chaincast.model.batches import Batch, Retraction
from chaincast.model.topics import wildcard_forms
from chaincast.protocol.dialects import registry
from tests.factories import OTHER_TOKEN, TOKEN, make_batch, make_event

V1 = "chaincast.v1"
LIMIT = 32_768

Message: TypeAlias = dict[str, object]

BATCH = make_batch(
    make_event(0),
    make_event(1, token=OTHER_TOKEN),
    make_event(2, kind="token.created"),
    retracted=(Retraction("old", (f"trades:anvil:{TOKEN}", "network:anvil")),),
)


def told(
    batches: Batch | Sequence[Batch], subscriptions: Mapping[str, Sequence[str]], limit: int = LIMIT
) -> dict[str, list[Message]]:
    """Return the parsed messages of each connection. `subscriptions`: the topics of each."""
    plan = Plan([batches] if isinstance(batches, Batch) else batches, limit)
    found = {}
    for connection, topics in subscriptions.items():
        mask = 0
        for topic in topics:
            mask |= plan.topics.get(topic, 0)
        found[connection] = [cast(Message, json.loads(m)) for m in plan.messages(((V1, mask),))]
    return found


def log_indexes(message: Message) -> list[int]:
    return [e["log_index"] for e in cast(list[dict[str, int]], message["events"])]


def test_topics_of_a_batch_include_wildcards_and_retractions() -> None:
    topics = Plan([BATCH], LIMIT).topics
    assert topics[f"trades:anvil:{TOKEN}"] == 0b0011
    assert topics["trades:*:*"] == 0b0111
    assert topics["tokens:anvil"] == 0b1000
    assert topics["network:*"] == 0b1111


def test_each_connection_sees_its_topics_once_retractions_first() -> None:
    found = told(
        BATCH,
        {
            "a": ["trades:*:*", f"trades:anvil:{TOKEN}"],
            "b": ["trades:*:*"],
            "c": [f"trades:anvil:{TOKEN}"],
            "d": ["tokens:anvil"],
            "e": ["price:BTC"],
        },
    )
    assert [m["type"] for m in found["a"]] == ["retracted", "events"]
    assert found["a"][0]["ids"] == ["old"]
    assert log_indexes(found["a"][1]) == [0, 1]
    assert found["a"] == found["b"]
    assert log_indexes(found["c"][1]) == [0]
    assert [m["type"] for m in found["d"]] == ["events"]
    assert found["e"] == []


def test_only_the_last_message_carries_the_batchs_cursor() -> None:
    found = told(make_batch(*(make_event(i) for i in range(20)), seq=9), {"a": ["network:*"]}, limit=2000)
    cursors = [m["cursor"] for m in found["a"]]
    assert len(cursors) > 3
    assert cursors == ["000000000008"] * (len(cursors) - 1) + ["000000000009"]


def test_no_part_but_the_last_ends_on_the_batchs_cursor() -> None:
    batch = replace(make_batch(make_event(0), seq=9), part=0, parts=2)
    assert [m["cursor"] for m in told(batch, {"a": ["network:*"]})["a"]] == ["000000000008"]


def test_an_event_longer_than_the_limit_goes_alone() -> None:
    big = make_event(1, data={"text": "x" * 5000})
    batch = make_batch(make_event(0), big, make_event(2))
    assert [log_indexes(m) for m in told(batch, {"a": ["network:*"]}, limit=2000)["a"]] == [[0], [1], [2]]


def test_batches_together_are_one_message_that_carries_the_last_cursor() -> None:
    batches = [make_batch(make_event(i, block=i), seq=i) for i in range(3, 13)]
    (message,) = told(batches, {"a": ["network:*"]})["a"]
    assert log_indexes(message) == list(range(3, 13))
    assert message["cursor"] == "000000000012"


def test_batches_together_have_the_cursor_of_what_is_complete_at_each_split() -> None:
    batches = [make_batch(*(make_event(i) for i in range(8)), seq=seq) for seq in (5, 6, 7)]
    messages = told(batches, {"a": ["network:*"]}, limit=3000)["a"]
    ids = [len(log_indexes(m)) for m in messages]
    done = [sum(ids[: i + 1]) for i in range(len(ids))]
    assert len(messages) > 3
    assert [m["cursor"] for m in messages] == [f"{4 + count // 8:012d}" for count in done]


def test_a_reorg_between_batches_is_told_in_order() -> None:
    first = make_batch(make_event(0), seq=5)
    second = make_batch(make_event(1), seq=6, retracted=(Retraction(first.events[0].id, ("network:anvil",)),))
    messages = told([first, second], {"a": ["network:anvil"]})["a"]
    assert [(m["type"], m["cursor"]) for m in messages] == [
        ("events", "000000000005"),
        ("retracted", "000000000005"),
        ("events", "000000000006"),
    ]


def test_of_one_conflation_key_a_message_has_the_last_that_is_seen() -> None:
    def price(log_index: int, key: str | None, token: str) -> Batch:
        return make_batch(replace(make_event(log_index, token=token), conflation_key=key), seq=5 + log_index)

    batches = [
        price(0, "p", TOKEN),
        price(1, None, TOKEN),
        price(2, "p", TOKEN),
        price(3, "q", TOKEN),
        price(4, "p", OTHER_TOKEN),
    ]
    found = told(batches, {"all": ["network:anvil"], "one": [f"trades:anvil:{TOKEN}"]})
    assert log_indexes(found["all"][0]) == [1, 3, 4]
    assert log_indexes(found["one"][0]) == [1, 2, 3]


def test_kinds_limit_events_but_never_retractions() -> None:
    plan = Plan([BATCH], LIMIT)
    assert plan.of_kinds(frozenset({"token.created"})) == 0b1001
    assert plan.of_kinds(frozenset({"trade", "token.created"})) == 0b1111
    assert plan.of_kinds(frozenset({"none"})) == 0b0001


def test_what_is_behind_a_batch() -> None:
    plan = Plan([make_batch(make_event(0), make_event(1), seq=5), make_batch(make_event(2), seq=6)], LIMIT)
    assert [plan.mask_after(4, 0), plan.mask_after(5, 0), plan.mask_after(6, 0)] == [0b111, 0b100, 0]


class Counting:
    """A dialect that counts what it encodes."""

    def __init__(self) -> None:
        self.inner = registry.get(V1, {})
        self.encoded = 0

    def __getattr__(self, name: str) -> object:
        if name == "event_fragment":
            self.encoded += 1
        return getattr(self.inner, name)


def test_each_event_is_encoded_once_whatever_views_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    counting = Counting()
    monkeypatch.setattr(registry, "get", lambda name, chains: counting)
    plan = Plan([make_batch(*(make_event(i) for i in range(6)))], LIMIT)
    assert counting.encoded == 0
    for mask in range(1, 64):
        assert plan.messages(((V1, mask),))
    assert counting.encoded == 6


tokens = st.sampled_from([TOKEN, OTHER_TOKEN, None])
kinds = st.sampled_from(["trade", "token.created", "contract.event"])
made = st.lists(st.tuples(kinds, tokens, st.booleans()), min_size=1, max_size=8)
runs = st.lists(made, min_size=1, max_size=4).map(
    lambda run: [
        make_batch(
            *(
                make_event(i, kind=kind, token=token, block=7 + n)
                for i, (kind, token, lost) in enumerate(of)
                if not lost
            ),
            seq=5 + n,
            retracted=tuple(
                Retraction(f"{n}.{i}", make_event(i, kind=kind, token=token).topics)
                for i, (kind, token, lost) in enumerate(of)
                if lost
            ),
        )
        for n, of in enumerate(run)
    ]
)
made_topics = [
    t
    for kind in ("trade", "token.created")
    for token in (TOKEN, OTHER_TOKEN)
    for t in make_event(kind=kind, token=token).topics
]
every_topic = sorted({form for topic in made_topics for form in wildcard_forms(topic)})


@given(runs, st.lists(st.sampled_from(every_topic), unique=True), st.integers(700, 3000))
def test_the_plan_is_what_asking_each_connection_and_item_gives(
    batches: list[Batch], topics: list[str], limit: int
) -> None:
    def sees(item_topics: Sequence[str]) -> bool:
        return any(form in topics for t in item_topics for form in wildcard_forms(t))

    wanted: list[tuple[str, str]] = []
    complete: dict[int, int] = defaultdict(int)  # by batch: how many of the wanted are there when it is complete
    for batch in batches:
        wanted += [("retracted", r.id) for r in batch.retracted if sees(r.topics)]
        wanted += [("events", e.id) for e in batch.events if sees(e.topics)]
        complete[batch.seq] = len(wanted)
    messages = told(batches, {"a": topics}, limit)["a"]
    got: list[tuple[str, str]] = []
    for message in messages:
        if message["type"] == "events":
            got += [("events", e["id"]) for e in cast(list[dict[str, str]], message["events"])]
        else:
            got += [("retracted", i) for i in cast(list[str], message["ids"])]
        # Whatever cursor the client remembers, it has everything up to it.
        assert complete[int(cast(str, message["cursor"]))] <= len(got)
    assert got == wanted
    assert not messages or messages[-1]["cursor"] == batches[-1].cursor


@given(runs, st.integers(700, 3000))
def test_no_message_is_longer_than_the_limit_unless_one_item_is(batches: list[Batch], limit: int) -> None:
    plan = Plan(batches, limit)
    view: View = ((V1, plan.topics.get("network:anvil", 0)),)
    for message in plan.messages(view):
        document = json.loads(message)
        assert len(message) <= limit or len(document.get("events", document.get("ids"))) == 1
