"""Clarity values in both forms, and what contracts print."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincast.config.network import Contract, Network
from chaincast.model.events import Json
from listener import adapters
from listener.adapters.base import Adapter, Decoded
from listener.adapters.clarity import MAX_DEPTH, c32_address, decode_hex, parse_repr
from listener.adapters.clarity_prints import PRINT, REPR
from listener.adapters.codec import Undecodable
from listener.sources.base import RawLog

# Stacks' burn address, and its API's documentation of a marketplace's print.
BURN = "SP000000000000000000002Q6VF78"
CATS = "SP2N959SER36FZ5QT1CX9BR63W3E8X35WQCMBYYWC.leo-cats"
LISTED_HEX = (
    "0x0c0000000501610d0000000c6c6973742d696e2d757374780a636f6d6d697373696f6e06162bcf9762d5b90bc36dc1b4759b1727690f92ddd3"
    "1367616d6d612d636f6d6d697373696f6e2d76310269640100000000000000000000000000000d71057072696365010000000000000000000000"
    "00004e89b307726f79616c74790100000000000000000000000000000000"
)
LISTED: dict[str, Json] = {
    "a": "list-in-ustx",
    "commission": "SPNWZ5V2TPWGQGVDR6T7B6RQ4XMGZ4PXTEE0VQ0S.gamma-commission-v1",
    "id": "3441",
    "price": "5147059",
    "royalty": "0",
}
LISTED_REPR = (
    '(tuple (a "list-in-ustx") (commission \'SPNWZ5V2TPWGQGVDR6T7B6RQ4XMGZ4PXTEE0VQ0S.gamma-commission-v1) '
    "(id u3441) (price u5147059) (royalty u0))"
)


def test_a_documented_print_is_read_from_either_form() -> None:
    assert decode_hex(LISTED_HEX) == LISTED
    assert parse_repr(LISTED_REPR) == LISTED


def test_addresses_are_those_that_people_know() -> None:
    assert c32_address(22, bytes(20)) == BURN
    assert c32_address(26, bytes(20)) == "ST000000000000000000002AMW42H"
    with pytest.raises(Undecodable, match="version 40"):
        c32_address(40, bytes(20))


Both = tuple[bytes, str, Json]
"""A value: serialized, as text, and as JSON has it."""

names = st.from_regex(r"[a-z][a-z0-9-]{0,10}", fullmatch=True)


def sized(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


leaves: st.SearchStrategy[Both] = st.one_of(
    st.integers(-(2**127), 2**127 - 1).map(lambda n: (b"\0" + n.to_bytes(16, "big", signed=True), str(n), str(n))),
    st.integers(0, 2**128 - 1).map(lambda n: (b"\1" + n.to_bytes(16, "big"), f"u{n}", str(n))),
    st.binary(max_size=40).map(lambda b: (b"\2" + sized(b), "0x" + b.hex(), "0x" + b.hex())),
    st.booleans().map(lambda b: (b"\3" if b else b"\4", str(b).lower(), b)),
    st.just((b"\x09", "none", None)),
    st.just((b"\5\x16" + bytes(20), f"'{BURN}", BURN)),
    names.map(lambda n: (b"\6\x16" + bytes(20) + bytes([len(n)]) + n.encode(), f"'{BURN}.{n}", f"{BURN}.{n}")),
    st.text("abc \"\\()'", max_size=20).map(lambda t: (b"\x0d" + sized(t.encode()), f'"{escaped(t)}"', t)),
    st.text("aé漢😀", max_size=9).map(lambda t: (b"\x0e" + sized(t.encode()), f'u"{unicode_escaped(t)}"', t)),
)


def escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def unicode_escaped(text: str) -> str:
    return "".join(c if c.isascii() else f"\\u{{{ord(c):x}}}" for c in text)


def nested(inner: st.SearchStrategy[Both]) -> st.SearchStrategy[Both]:
    def record(members: dict[str, Both]) -> Both:
        data = b"".join(bytes([len(n)]) + n.encode() + v[0] for n, v in members.items())
        text = " ".join(f"({n} {v[1]})" for n, v in members.items())
        return (
            b"\x0c" + len(members).to_bytes(4, "big") + data,
            f"(tuple {text})",
            {n: v[2] for n, v in members.items()},
        )

    def sequence(items: list[Both]) -> Both:
        text = " ".join(["(list", *(v[1] for v in items)]) + ")"
        return b"\x0b" + len(items).to_bytes(4, "big") + b"".join(v[0] for v in items), text, [v[2] for v in items]

    return st.one_of(
        inner.map(lambda v: (b"\x07" + v[0], f"(ok {v[1]})", {"ok": v[2]})),
        inner.map(lambda v: (b"\x08" + v[0], f"(err {v[1]})", {"err": v[2]})),
        inner.map(lambda v: (b"\x0a" + v[0], f"(some {v[1]})", v[2])),
        st.lists(inner, max_size=4).map(sequence),
        st.dictionaries(names, inner, min_size=1, max_size=4).map(record),
    )


@given(st.recursive(leaves, nested, max_leaves=12))
def test_both_forms_of_any_value_are_read_alike(value: Both) -> None:
    serialized, text, expected = value
    assert decode_hex("0x" + serialized.hex()) == expected
    assert parse_repr(text) == expected


@given(st.binary(max_size=60))
def test_damage_is_an_error_that_is_named(data: bytes) -> None:
    try:
        decode_hex(data.hex())
    except Undecodable:
        return


@given(st.text("()u-'\"0x1STa. \\{}", max_size=40))
def test_text_that_is_no_value_is_an_error_that_is_named(text: str) -> None:
    try:
        parse_repr(text)
    except Undecodable:
        return


def test_depth_and_counts_are_bounded() -> None:
    with pytest.raises(Undecodable, match="deeper"):
        decode_hex("0a" * (MAX_DEPTH + 2) + "09")
    with pytest.raises(Undecodable, match="deeper"):
        parse_repr("(some " * (MAX_DEPTH + 2) + "none" + ")" * (MAX_DEPTH + 2))
    with pytest.raises(Undecodable, match="do not fit"):
        decode_hex("0bffffffff")


def printed(value: str, address: str = CATS) -> RawLog:
    return RawLog(address, (PRINT,), bytes.fromhex(value.removeprefix("0x")), 0, "0x00")


def made(**fields: Any) -> Adapter:
    contract = Contract(adapter="abi", address=(CATS,), **fields)
    return adapters.make(contract, Network(kind="stacks", chain_id=1, rpc_url=("https://api",)))


def test_a_print_is_an_event_called_as_it_calls_itself() -> None:
    assert made().decode(printed(LISTED_HEX)) == Decoded("contract.event", {"event": "list-in-ustx", "args": LISTED})
    transfer = "0x0c00000002056576656e740d000000087472616e73666572016e0100000000000000000000000000000005"
    assert made().decode(printed(transfer)) == Decoded(
        "contract.event", {"event": "transfer", "args": {"event": "transfer", "n": "5"}}
    )
    assert made().decode(printed("0x0703")) == Decoded("contract.event", {"event": "print", "args": {"ok": True}})


def test_a_print_that_comes_as_text_only_is_the_same_event() -> None:
    as_text = RawLog(CATS, (PRINT, REPR), LISTED_REPR.encode(), 0, "0x00")
    assert made().decode(as_text) == made().decode(printed(LISTED_HEX))
    with pytest.raises(Undecodable):
        made().decode(RawLog(CATS, (PRINT, REPR), b"(tuple (a", 0, "0x00"))


def test_what_is_no_character_is_replaced() -> None:
    assert parse_repr('u"a\\u{d800}b\\u{110000}c\\u{e9}"') == "a\ufffdb\ufffdcé"


def test_only_the_chosen_events_of_its_contracts() -> None:
    assert made(events=("sale",)).decode(printed(LISTED_HEX)) is None
    assert made(events=("list-in-ustx",)).decode(printed(LISTED_HEX)) is not None
    assert made().decode(printed(LISTED_HEX, address=f"{BURN}.other")) is None
