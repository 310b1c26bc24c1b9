"""Tests of `chaincast tail`: the rows that it shows."""

from __future__ import annotations

import pytest

from chaincast.client import Update
from chaincast.model.events import event_from_wire
from local.commands.tail import table_row

ON_CHAIN = {"id": "anvil:7:1234abcd:0", "timestamp": 1_700_000_000_000, "block": 7, "topics": ["network:anvil"]}


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (
            {
                "kind": "trade",
                "data": {"side": "buy", "native_amount": str(10**18), "token_amount": str(10**21), "price": "0.001"},
            },
            ["buy", "1,000 for     1.0000", "1.000e-03"],
        ),
        (
            {
                "kind": "trade",
                "data": {
                    "side": "sell",
                    "quote_amount": "2500000",
                    "quote_decimals": 6,
                    "quote_symbol": "USDC",
                    "token_amount": str(10**9),
                    "token_decimals": 9,
                    "price": None,
                },
            },
            ["sell", "1 for     2.5000 USDC"],
        ),
        ({"kind": "trade", "data": {"side": "buy", "price": 2500.0, "amount": 2}}, ["2 for  5000.0000", "2.500e+03"]),
        ({"kind": "price", "data": {"price": "0.5", "change_24h": -12.34}}, ["5.000e-01  -12.3 % in 24 h"]),
        ({"kind": "price", "data": {"price": None, "change_24h": None}}, ["0.000e+00"]),
        ({"kind": "price", "data": {"price": 45000.5, "symbol": "BTC"}}, ["price=45000.5"]),
        ({"kind": "alert", "data": {"message": "up \x1b[31m", "severity": "critical"}}, ["up �[31m"]),
    ],
)
def test_each_kind_of_event_has_a_readable_row(event: dict[str, object], words: list[str]) -> None:
    update = Update(event_from_wire({**ON_CHAIN, **event}), retracted=False, source="anvil", cursor="000000000001")
    row = [str(cell) for cell in table_row(update)]
    assert all(word in row[-1] for word in words), row


def test_a_retracted_event_is_marked() -> None:
    trade = event_from_wire({**ON_CHAIN, "kind": "price", "data": {"price": 45000.5, "symbol": "BTC"}})
    row = table_row(Update(trade, retracted=True, source="anvil", cursor="000000000001"))
    assert str(row[-1]) == "retracted: price=45000.5"
