from __future__ import annotations

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from listener.adapters.abi import EventDecoder, Parameter, Undecodable
from listener.sources.base import RawLog

PAID = EventDecoder(
    "Paid",
    Parameter("to", "address", indexed=True),
    Parameter("ok", "bool", indexed=True),
    Parameter("amount", "uint256"),
    Parameter("note", "string"),
    Parameter("by", "address"),
)


def log(to: str, ok: bool, amount: int, note: bytes, by: str) -> RawLog:
    topics = (PAID.topic0, encode(["address"], [to]), encode(["bool"], [ok]))
    return RawLog("0x00", topics, encode(["uint256", "bytes", "address"], [amount, note, by]), 0, "0x00")


addresses = st.binary(min_size=20, max_size=20).map(lambda b: "0x" + b.hex())


def test_topic0_is_the_hash_of_the_signature() -> None:
    transfer = EventDecoder(
        "Transfer", *(Parameter(n, t) for n, t in (("a", "address"), ("b", "address"), ("c", "uint256")))
    )
    assert transfer.signature == "Transfer(address,address,uint256)"
    assert transfer.topic0.hex() == "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"


@given(addresses, st.booleans(), st.integers(0, 2**256 - 1), st.binary(max_size=80), addresses)
def test_parameters_come_back(to: str, ok: bool, amount: int, note: bytes, by: str) -> None:
    text = note.decode("utf-8", "replace")
    assert PAID.decode(log(to, ok, amount, note, by)) == {"to": to, "ok": ok, "amount": amount, "note": text, "by": by}


def test_indexed_values_of_no_fixed_length_are_their_hash_and_the_order_is_the_declarations() -> None:
    event = EventDecoder(
        "Mixed",
        Parameter("a", "uint256"),
        Parameter("b", "string", indexed=True),
        Parameter("", "uint8[2]", indexed=True),
        Parameter("a", "bytes4", indexed=True),
        json=True,
    )
    topics = (event.topic0, b"\1" * 32, b"\2" * 32, b"\xca\xfe".ljust(32, b"\0"))
    values = event.decode(RawLog("0x00", topics, (7).to_bytes(32, "big"), 0, "0x00"))
    assert list(values.items()) == [
        ("a", "7"),
        ("b", "0x" + "01" * 32),
        ("arg2", "0x" + "02" * 32),
        ("arg3", "0xcafe0000"),
    ]


def test_an_anonymous_event_has_no_signature_among_its_topics() -> None:
    event = EventDecoder("Note", Parameter("who", "address", indexed=True), anonymous=True)
    who = encode(["address"], ["0x" + "ab" * 20])
    assert event.decode(RawLog("0x00", (who,), b"", 0, "0x00")) == {"who": "0x" + "ab" * 20}


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=4), st.binary(max_size=300))
def test_whatever_else_has_the_signature_is_undecodable(topics: list[bytes], data: bytes) -> None:
    try:
        values = PAID.decode(RawLog("0x00", (PAID.topic0, *topics), data, 0, "0x00"))
    except Undecodable:
        return
    assert set(values) == {"to", "ok", "amount", "note", "by"}


def test_too_few_topics_are_named() -> None:
    with pytest.raises(Undecodable, match="1 topics instead of 3"):
        PAID.decode(RawLog("0x00", (PAID.topic0,), b"", 0, "0x00"))
