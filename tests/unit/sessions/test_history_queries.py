from __future__ import annotations

from collections.abc import Collection

from chaincast.model.events import Event
from chaincast.model.topics import Topic
from chaincast.sessions.history_queries import HistoryQueries
from tests.factories import make_event


class StoredEvents:
    """A history with a number of events under each topic, newest first, in pages of ten."""

    def __init__(self, **events: int) -> None:
        self.events = {
            topic.replace("_", ":"): [make_event(i, network=topic.split("_")[1], block=1000 - i) for i in range(count)]
            for topic, count in events.items()
        }
        self.asked: list[str] = []

    def newest(
        self, topic: str, limit: int, names: Collection[str], before: str | None
    ) -> tuple[list[Event], str | None]:
        self.asked.append(topic)
        start = int(before or 0)
        end = start + min(limit, 10)
        events = self.events.get(topic, [])
        return events[start:end], str(end) if end < len(events) else None


def test_a_query_of_one_network_is_passed_on() -> None:
    store = StoredEvents(trades_bsc_x=30)
    events, before = HistoryQueries(store, ("anvil", "bsc")).newest(Topic("trades", "bsc", "x"), 5, (), None)
    assert (len(events), before, store.asked) == (5, "5", ["trades:bsc:x"])


def test_a_query_of_all_networks_is_merged_by_time() -> None:
    store = StoredEvents(trades_bsc_x=3, trades_anvil_x=5)
    events, before = HistoryQueries(store, ("anvil", "bsc")).newest(Topic("trades", "*", "x"), 4, (), None)
    assert [event.block for event in events] == [1000, 1000, 999, 999]
    assert before is None
    last = HistoryQueries(store, ("anvil", "bsc")).latest("trades", "*", "x")
    assert last is not None
    assert last.block == 1000
    assert HistoryQueries(store, ("anvil",)).latest("prices", "*", "x") is None


def test_alerts_are_stored_per_network_and_type() -> None:
    store = StoredEvents()
    HistoryQueries(store, ("anvil",)).newest(Topic("alerts", "anvil", "whale"), 4, (), None)
    assert store.asked == ["alerts:anvil:whale"]


def test_many_events_are_read_up_to_the_end_or_the_limit() -> None:
    store = StoredEvents(contract_bsc_c=25, contract_anvil_c=12)
    history = HistoryQueries(store, ("anvil", "bsc"))
    events, complete = history.read_many(Topic("contract", "*", "c"), 100)
    assert (len(events), complete) == (37, True)
    assert [e.timestamp for e in events] == sorted((e.timestamp for e in events), reverse=True)
    events, complete = history.read_many(Topic("contract", "bsc", "c"), 20)
    assert (len(events), complete) == (20, False)
