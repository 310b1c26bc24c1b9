from __future__ import annotations

from collections.abc import Collection

from chaincast.model.events import Event
from chaincast.model.topics import Topic
from chaincast.sessions.history_queries import HistoryQueries
from tests.factories import make_event


class Kept:
    """So many events under each topic, newest first, told ten at a time."""

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
        found = self.events.get(topic, [])
        return found[start:end], str(end) if end < len(found) else None


def test_one_network_is_asked_for_as_it_is() -> None:
    kept = Kept(trades_bsc_x=30)
    events, before = HistoryQueries(kept, ("anvil", "bsc")).newest(Topic("trades", "bsc", "x"), 5, (), None)
    assert (len(events), before, kept.asked) == (5, "5", ["trades:bsc:x"])


def test_of_all_networks_the_newest_are_merged_by_time() -> None:
    kept = Kept(trades_bsc_x=3, trades_anvil_x=5)
    events, before = HistoryQueries(kept, ("anvil", "bsc")).newest(Topic("trades", "*", "x"), 4, (), None)
    assert [event.block for event in events] == [1000, 1000, 999, 999]
    assert before is None
    last = HistoryQueries(kept, ("anvil", "bsc")).latest("trades", "*", "x")
    assert last is not None
    assert last.block == 1000
    assert HistoryQueries(kept, ("anvil",)).latest("prices", "*", "x") is None


def test_alerts_are_kept_per_network_and_type() -> None:
    kept = Kept()
    HistoryQueries(kept, ("anvil",)).newest(Topic("alerts", "anvil", "whale"), 4, (), None)
    assert kept.asked == ["alerts:anvil:whale"]


def test_many_are_read_to_the_end_or_to_the_most() -> None:
    kept = Kept(contract_bsc_c=25, contract_anvil_c=12)
    past = HistoryQueries(kept, ("anvil", "bsc"))
    found, complete = past.read_many(Topic("contract", "*", "c"), 100)
    assert (len(found), complete) == (37, True)
    assert [e.timestamp for e in found] == sorted((e.timestamp for e in found), reverse=True)
    found, complete = past.read_many(Topic("contract", "bsc", "c"), 20)
    assert (len(found), complete) == (20, False)
