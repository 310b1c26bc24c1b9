from __future__ import annotations

from chaincast.model.events import Json
from chaincast.sessions.statistics import DAY_MS, contract_stats, token_stats
from tests.factories import make_event

DATA: dict[str, Json] = {"trades": 7, "trades_24h": 3, "volume_24h": "5", "volume_24h_usd": None, "change_24h": 1.5}


def test_a_token_that_was_never_traded_has_no_trades() -> None:
    assert token_stats(None, 0) == {"trades": 0, "as_of": None}


def test_the_values_of_a_day_are_zero_a_day_after_the_newest_price() -> None:
    price = make_event(1, kind="price", data=DATA)
    fresh = token_stats(price, price.timestamp + DAY_MS - 1)
    assert (fresh["trades"], fresh["trades_24h"], fresh["volume_24h"], fresh["as_of"]) == (7, 3, "5", price.timestamp)
    old = token_stats(price, price.timestamp + DAY_MS)
    assert (old["trades"], old["trades_24h"], old["volume_24h"], old["change_24h"]) == (7, 0, "0", 0.0)
    assert old["volume_24h_usd"] is None, "an unknown value stays unknown"


def test_a_contract_s_events_are_counted_by_type_in_total_and_in_a_day() -> None:
    newest = make_event(2, kind="contract.event", data={"event": "Paid"})
    oldest = make_event(1, kind="trade")
    now = newest.timestamp + DAY_MS - 1
    stats = contract_stats([newest, oldest], complete=False, now_ms=now)
    assert stats["by_type"] == {"Paid": 1, "trade": 1}
    assert stats["events"] == 2
    assert (stats["first"], stats["last"], stats["complete"]) == (oldest.timestamp, newest.timestamp, False)
    later = contract_stats([newest, oldest], complete=True, now_ms=now + DAY_MS)
    assert (later["events_24h"], later["by_type_24h"], later["events"]) == (0, {}, 2)


def test_a_contract_without_events_has_no_first_and_last() -> None:
    stats = contract_stats([], complete=True, now_ms=0)
    assert (stats["events"], stats["first"], stats["last"]) == (0, None, None)
