from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincast.client.inbox import Inbox, Update
from chaincast.model.events import Event, event_from_wire, event_to_wire
from tests.factories import make_event


def update(event: Event) -> Update:
    return Update(event, retracted=False, source="bsc", cursor="000000000001")


def price(number: int, symbol: str = "BTC") -> Update:
    told = {"id": f"{symbol}-{number}", "kind": "price", "timestamp": number, "topics": [f"price:{symbol}"], "data": {}}
    return update(event_from_wire(told))


def drained(inbox: Inbox) -> list[str]:
    found = []
    while inbox:
        taken = inbox.take()
        found.append(("-" if taken.retracted else "+") + taken.event.id)
    return found


def test_updates_come_out_in_their_order() -> None:
    inbox = Inbox()
    events = [make_event(n) for n in range(3)]
    for event in events:
        inbox.add(update(event))
    assert len(inbox) == 3
    assert drained(inbox) == [f"+{event.id}" for event in events]
    with pytest.raises(KeyError):
        inbox.take()


def test_of_waiting_prices_of_one_symbol_only_the_newest_is_told() -> None:
    inbox = Inbox()
    for told in (price(1), price(1, "ETH"), price(2), price(3)):
        inbox.add(told)
    assert drained(inbox) == ["+ETH-1", "+BTC-3"]
    inbox.add(price(4))
    assert drained(inbox) == ["+BTC-4"]


def test_a_price_that_is_to_be_taken_back_is_not_stale() -> None:
    inbox = Inbox()
    inbox.add(price(1))
    inbox.take()
    inbox.retract(price(1))
    inbox.add(price(2))
    assert drained(inbox) == ["-BTC-1", "+BTC-2"]


kinds = st.sampled_from(["add", "retract", "take"])


@given(st.lists(st.tuples(kinds, st.integers(0, 4)), max_size=60))
def test_who_reads_holds_what_happened_and_was_not_taken_back(steps: list[tuple[str, int]]) -> None:
    inbox = Inbox()
    truth: set[str] = set()
    held: set[str] = set()
    events = [make_event(n) for n in range(5)]

    def read() -> None:
        taken = inbox.take()
        if taken.retracted:
            held.remove(taken.event.id)  # KeyError: the event was not delivered
        else:
            assert taken.event.id not in held
            held.add(taken.event.id)

    for step, number in steps:
        event = events[number]
        if step == "add" and event.id not in truth:
            truth.add(event.id)
            inbox.add(update(event))
        elif step == "retract" and event.id in truth:
            truth.remove(event.id)
            inbox.retract(update(event))
        elif step == "take" and inbox:
            read()
    while inbox:
        read()
    assert held == truth


@pytest.mark.parametrize("event", [make_event(3), make_event(kind="price", data={"price": "1"})])
def test_an_event_is_told_and_understood(event: Event) -> None:
    understood = event_from_wire(event_to_wire(event) | {"from_a_newer_server": True})
    assert event_to_wire(understood) == event_to_wire(event)
    assert (understood.conflation_key is None) == (event.kind != "price")
