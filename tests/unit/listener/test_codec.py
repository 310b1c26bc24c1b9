"""The ABI decoder against eth-abi, an independent one: on what it encodes, and on damage."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from hypothesis import given, settings
from hypothesis import strategies as st

from listener.adapters.codec import (
    BadType,
    Parameter,
    Undecodable,
    budget_for,
    compile_type,
    members,
    parameters_of,
)

ELEMENTARY = [
    "uint256",
    "uint8",
    "uint112",
    "int256",
    "int24",
    "address",
    "bool",
    "bytes32",
    "bytes3",
    "bytes",
    "string",
]


@st.composite
def types(draw: st.DrawFn, depth: int = 2) -> Parameter:
    """A parameter of any type."""
    base = draw(st.sampled_from([*ELEMENTARY, *(["tuple"] * 3 if depth else [])]))
    components: tuple[Parameter, ...] = ()
    if base == "tuple":
        count = draw(st.integers(1, 3))
        components = tuple(
            Parameter(f"m{i}", inner.type, False, inner.components)
            for i, inner in enumerate(draw(types(depth - 1)) for _ in range(count))
        )
    arrays = draw(st.lists(st.sampled_from(["[]", "[2]", "[3]"]), max_size=2))
    return Parameter("x", base + "".join(arrays), False, components)


def value_of(canonical: str) -> st.SearchStrategy[Any]:
    """Values that eth-abi encodes as a type."""
    if canonical.endswith("]"):
        item, _, length = canonical[:-1].rpartition("[")
        sizes = (int(length), int(length)) if length else (0, 3)
        return st.lists(value_of(item), min_size=sizes[0], max_size=sizes[1])
    if canonical.startswith("("):
        return st.tuples(*map(value_of, split_members(canonical)))
    if canonical.startswith("uint"):
        return st.integers(0, 2 ** int(canonical[4:]) - 1)
    if canonical.startswith("int"):
        bits = int(canonical[3:])
        return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    if canonical == "address":
        return st.binary(min_size=20, max_size=20).map(lambda b: "0x" + b.hex())
    if canonical == "bool":
        return st.booleans()
    if canonical == "string":
        return st.text(max_size=70)
    if canonical == "bytes":
        return st.binary(max_size=70)
    return st.binary(min_size=int(canonical[5:]), max_size=int(canonical[5:]))


def split_members(canonical: str) -> list[str]:
    depth, found = 0, [""]
    for character in canonical[1:-1]:
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            found.append("")
        else:
            found[-1] += character
    return found


def plain(value: Any) -> Any:
    """Ours and eth-abi's values in one form."""
    if isinstance(value, dict):
        return [plain(v) for v in value.values()]
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return value


def ours(parameter: Parameter, data: bytes, *, json: bool = False) -> Any:
    return members([compile_type(parameter, json=json)])(data, 0, budget_for(data))[0]


@settings(max_examples=300)
@given(st.data(), types())
def test_what_eth_abi_encodes_is_read(data: st.DataObject, parameter: Parameter) -> None:
    canonical = compile_type(parameter).canonical
    value = data.draw(value_of(canonical))
    assert plain(ours(parameter, encode([canonical], [value]))) == plain(value)


@settings(max_examples=300)
@given(st.data(), types())
def test_damage_is_refused_or_read_as_eth_abi_reads_it(data: st.DataObject, parameter: Parameter) -> None:
    canonical = compile_type(parameter).canonical
    encoded = bytearray(encode([canonical], [data.draw(value_of(canonical))]))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(encoded) - 1))
        encoded[place] = data.draw(st.integers(0, 255))
    del encoded[data.draw(st.integers(0, len(encoded))) or len(encoded) :]
    try:
        expected = plain(decode([canonical], bytes(encoded), strict=False)[0])
    except (DecodingError, OverflowError, ValueError):
        expected = Undecodable
    try:
        found = plain(ours(parameter, bytes(encoded)))
    except Undecodable:
        return  # stricter is allowed, other values are not
    if expected is not Undecodable:
        assert found == expected


def test_text_that_is_no_utf8_is_read_all_the_same() -> None:
    assert ours(Parameter("x", "string"), encode(["bytes"], [b"a\xff"])) == "a\ufffd"


def test_padding_behind_bytes_may_be_anything_as_compilers_made_it() -> None:
    data = bytearray(encode(["bytes"], [b"abc"]))
    data[-1] = 7
    assert ours(Parameter("x", "bytes"), bytes(data)) == b"abc"


def test_offsets_that_point_to_the_same_over_and_over_cost_nothing() -> None:
    """An array of arrays of arrays, each of whose items is the same array: n³ values in 32·n bytes."""
    n = 1000
    count, behind = n.to_bytes(32, "big"), (32 * n).to_bytes(32, "big")
    data = (32).to_bytes(32, "big") + (count + behind * n) * 2 + count + bytes(32) * n
    with pytest.raises(Undecodable, match="over and over"):
        ours(Parameter("x", "uint256[][][]"), data)


@pytest.mark.parametrize("length", [2**255, 2**64, 10**6])
@pytest.mark.parametrize("type_", ["bytes", "string", "uint256[]", "string[]", "(uint256,string)[]"])
def test_a_length_beyond_the_data_is_refused_at_once(type_: str, length: int) -> None:
    parameter = Parameter("x", type_)
    if type_.startswith("("):
        parameter = Parameter("x", "tuple[]", False, (Parameter("a", "uint256"), Parameter("b", "string")))
    with pytest.raises(Undecodable, match=r"bytes where|an offset"):
        ours(parameter, (32).to_bytes(32, "big") + length.to_bytes(32, "big"))


@pytest.mark.parametrize(
    "type_",
    ["uint", "int257", "uint7", "bytes33", "bytes0", "addres", "uint256[0]", "uint256[", "tuple", "", "mapping"],
)
def test_what_is_no_type_is_refused_by_name(type_: str) -> None:
    if type_ == "uint":
        assert compile_type(Parameter("x", "uint")).canonical == "uint256"
        return
    with pytest.raises(BadType):
        compile_type(Parameter("x", type_))


def test_values_as_json_has_them() -> None:
    parameter = Parameter(
        "order",
        "tuple",
        False,
        parameters_of(
            [
                {"name": "maker", "type": "address"},
                {"name": "amount", "type": "uint256"},
                {"name": "deadline", "type": "uint48"},
                {"name": "hash", "type": "bytes32"},
                {"name": "fills", "type": "tuple[]", "components": [{"name": "", "type": "int8"}, {"type": "bytes"}]},
            ]
        ),
    )
    canonical = compile_type(parameter).canonical
    assert canonical == "(address,uint256,uint48,bytes32,(int8,bytes)[])"
    data = encode([canonical], [("0x" + "ab" * 20, 2**200, 2**48 - 1, b"\1" * 32, [(-5, b"\xca\xfe")])])
    assert ours(parameter, data, json=True) == {
        "maker": "0x" + "ab" * 20,
        "amount": str(2**200),
        "deadline": 2**48 - 1,
        "hash": "0x" + "01" * 32,
        "fills": [[-5, "0xcafe"]],
    }


def test_fixed_point_numbers_are_exact() -> None:
    data = (-(10**18) - 1).to_bytes(32, "big", signed=True)
    assert ours(Parameter("x", "fixed128x18"), data) == Decimal("-1.000000000000000001")
    assert ours(Parameter("x", "fixed"), data, json=True) == "-1.000000000000000001"
