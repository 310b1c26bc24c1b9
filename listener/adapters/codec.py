"""Contract ABI decoding. A type is compiled once to a function that reads its values.

Source: the Solidity ABI specification, "Formal Specification of the Encoding". Like eth-abi, the decoder is strict
about the padding of numbers, addresses, booleans and fixed bytes, but it accepts any padding after `bytes` and
`string`, because compilers did not always clear it. Hostile data costs no more than other data of its length: a budget
limits how often offsets may lead to the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Context, Decimal
from typing import Any, TypeAlias

from chaincast.errors import ChaincastError

Value: TypeAlias = Any  # int, bool, str, bytes, Decimal, or a list or dict of these, depending on the ABI type
Budget: TypeAlias = list[int]
Read: TypeAlias = Callable[[bytes, int, Budget], Value]
"""Reads the value at an offset of the data, and subtracts the bytes that it reads from the budget."""

_TYPE = re.compile(
    r"(tuple|address|bool|string|function|bytes(\d+)?|(u?)int(\d*)|(u?)fixed(?:(\d+)x(\d+))?)((?:\[\d*\])*)"
)
_GENEROSITY = 4
"""Budget as a multiple of the data's length. Encoders may let several offsets lead to the same bytes."""

NUMBER_BITS = 48
"""Integers of types up to this size are JSON numbers. Integers of larger types are decimal strings."""

_EXACT = Context(prec=80)


class Undecodable(ChaincastError):
    """A log has the event's signature but another shape: it is another event of the same name, or damaged."""


class BadType(ChaincastError):
    """A type that the ABI specification does not define."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of an event, as a JSON ABI describes it. `components`: the members of a tuple."""

    name: str
    type: str
    indexed: bool = False
    components: tuple[Parameter, ...] = ()


@dataclass(frozen=True, slots=True)
class Type:
    """A compiled type. `size`: bytes of its encoding; for a dynamic type, bytes of the offset to the value."""

    canonical: str
    size: int
    dynamic: bool
    read: Read = field(repr=False)


def compile_type(parameter: Parameter, *, json: bool = False) -> Type:
    """Compile the type of a parameter. Raise `BadType` if it is not an ABI type.

    `json`: read JSON values (integers over 48 bits as decimal strings, bytes as 0x hex).
    """
    found = _TYPE.fullmatch(parameter.type)
    if found is None:
        raise BadType(f"{parameter.type!r} (of {parameter.name or 'a parameter'}) is not an ABI type")
    base, arrays = found.group(1), re.findall(r"\[(\d*)\]", found.group(8))
    type_ = _tuple(parameter.components, json=json) if base == "tuple" else _elementary(found, json=json)
    for length in arrays:
        type_ = _array(type_, int(length) if length else None)
    return type_


def members(types: Sequence[Type]) -> Callable[[bytes, int, Budget], list[Value]]:
    """Return a function that reads the values of a sequence of types, such as the members of a tuple."""
    places: list[tuple[int, bool, Read]] = []
    at = 0
    for type_ in types:
        places.append((at, type_.dynamic, type_.read))
        at += type_.size
    end = at

    def read(data: bytes, base: int, budget: Budget) -> list[Value]:
        if len(data) < base + end:
            raise Undecodable(f"{len(data) - base} bytes are left where at least {end} are needed")
        return [
            read_one(data, base + (_offset(data, base + place) if dynamic else place), budget)
            for place, dynamic, read_one in places
        ]

    return read


def budget_for(data: bytes) -> Budget:
    return [_GENEROSITY * len(data)]


def _offset(data: bytes, at: int) -> int:
    offset = int.from_bytes(data[at : at + 32], "big")
    if offset > len(data):
        raise Undecodable(f"an offset of {offset} points beyond the {len(data)} bytes of data")
    return offset


def _take(data: bytes, at: int, size: int, budget: Budget) -> None:
    if at + size > len(data):
        raise Undecodable(f"{max(len(data) - at, 0)} bytes where {size} are needed")
    budget[0] -= size
    if budget[0] < 0:
        raise Undecodable("its offsets point to the same bytes over and over")


def _tuple(components: Sequence[Parameter], *, json: bool) -> Type:
    if not components:
        raise BadType("a tuple type needs components")
    types = [compile_type(c, json=json) for c in components]
    names = [c.name for c in components]
    dynamic = any(t.dynamic for t in types)
    read_members = members(types)
    named = all(names) and len(set(names)) == len(names)

    def read(data: bytes, at: int, budget: Budget) -> Value:
        values = read_members(data, at, budget)
        return dict(zip(names, values, strict=True)) if named else values

    return Type(
        f"({','.join(t.canonical for t in types)})", 32 if dynamic else sum(t.size for t in types), dynamic, read
    )


def _array(item: Type, length: int | None) -> Type:
    if length == 0:
        raise BadType(f"{item.canonical}[0]: an array needs at least one item")
    size, read_item, indirect = item.size, item.read, item.dynamic

    # Bytes that an offset leads to are subtracted from the budget. Items inside of them are not subtracted again.
    def items(data: bytes, base: int, count: int, budget: Budget) -> list[Value]:
        if indirect or length is None:
            _take(data, base, count * size, budget)
        places = range(base, base + count * size, size)
        if indirect:
            return [read_item(data, base + _offset(data, place), budget) for place in places]
        return [read_item(data, place, budget) for place in places]

    def read_fixed(data: bytes, at: int, budget: Budget) -> list[Value]:
        assert length is not None
        return items(data, at, length, budget)

    def read_dynamic(data: bytes, at: int, budget: Budget) -> list[Value]:
        _take(data, at, 32, budget)
        return items(data, at + 32, int.from_bytes(data[at : at + 32], "big"), budget)

    if length is None:
        return Type(f"{item.canonical}[]", 32, True, read_dynamic)
    return Type(f"{item.canonical}[{length}]", 32 if indirect else length * size, indirect, read_fixed)


def _elementary(found: re.Match[str], *, json: bool) -> Type:
    base, bytes_, unsigned, bits, _, fixed_bits, digits, _ = found.groups()
    if base == "address":
        return Type(base, 32, False, _read_address)
    if base == "bool":
        return Type(base, 32, False, _read_bool)
    if base == "string":
        return Type(base, 32, True, lambda d, at, b: _read_bytes(d, at, b).decode("utf-8", "replace"))
    if base == "bytes":
        return Type(base, 32, True, _hex_of(_read_bytes) if json else _read_bytes)
    if base == "function" or bytes_:
        size = 24 if base == "function" else int(bytes_)
        if not 1 <= size <= 32:
            raise BadType(f"{base}: the size must be 1 to 32 bytes")
        read = _fixed_bytes(size)
        return Type(f"bytes{size}", 32, False, _hex_of(read) if json else read)
    if "fixed" in base:
        return _fixed_point(base.startswith("u"), int(fixed_bits or 128), int(digits or 18), json=json)
    return _integer(bool(unsigned), int(bits or 256), json=json)


def _integer(unsigned: bool, bits: int, *, json: bool) -> Type:
    if not 8 <= bits <= 256 or bits % 8:
        raise BadType(f"int{bits}: the size must be 8 to 256 bits, in steps of 8")
    name = f"{'u' if unsigned else ''}int{bits}"
    low, high = (0, 1 << bits) if unsigned else (-1 << bits - 1, 1 << bits - 1)
    signed = not unsigned

    def read_any(data: bytes, at: int, budget: Budget) -> int:
        return int.from_bytes(data[at : at + 32], "big", signed=signed)

    def read(data: bytes, at: int, budget: Budget) -> int:
        value = int.from_bytes(data[at : at + 32], "big", signed=signed)
        if not low <= value < high:
            raise Undecodable(f"{value} is not a valid {name}")
        return value

    number = read_any if bits == 256 else read
    if not json or bits <= NUMBER_BITS:
        return Type(name, 32, False, number)
    return Type(name, 32, False, lambda data, at, budget: str(number(data, at, budget)))


def _fixed_point(unsigned: bool, bits: int, digits: int, *, json: bool) -> Type:
    if digits > 80:
        raise BadType(f"fixed{bits}x{digits}: at most 80 digits are allowed")
    number = _integer(unsigned, bits, json=False).read

    def read(data: bytes, at: int, budget: Budget) -> Value:
        value = Decimal(number(data, at, budget)).scaleb(-digits, _EXACT)
        return f"{value:f}" if json else value

    return Type(f"{'u' if unsigned else ''}fixed{bits}x{digits}", 32, False, read)


_ADDRESS_PADDING = bytes(12)


def _read_address(data: bytes, at: int, budget: Budget) -> str:
    if data[at : at + 12] != _ADDRESS_PADDING:
        raise Undecodable(f"0x{data[at : at + 32].hex()} is not a valid address")
    return "0x" + data[at + 12 : at + 32].hex()


def _read_bool(data: bytes, at: int, budget: Budget) -> bool:
    value = int.from_bytes(data[at : at + 32], "big")
    if value > 1:
        raise Undecodable(f"{value} is not a valid bool")
    return value == 1


def _read_bytes(data: bytes, at: int, budget: Budget) -> bytes:
    _take(data, at, 32, budget)
    length = int.from_bytes(data[at : at + 32], "big")
    _take(data, at + 32, length, budget)
    return data[at + 32 : at + 32 + length]


def _fixed_bytes(size: int) -> Read:
    padding = bytes(32 - size)

    def read(data: bytes, at: int, budget: Budget) -> bytes:
        if data[at + size : at + 32] != padding:
            raise Undecodable(f"0x{data[at : at + 32].hex()} is not a valid bytes{size}")
        return data[at : at + size]

    return read


def _hex_of(read: Read) -> Read:
    return lambda data, at, budget: "0x" + read(data, at, budget).hex()


def parameters_of(inputs: Sequence[Mapping[str, Any]]) -> tuple[Parameter, ...]:
    """Return the parameters in a JSON ABI's `inputs` or `components`."""
    return tuple(
        Parameter(
            str(i.get("name", "")), str(i["type"]), bool(i.get("indexed")), parameters_of(i.get("components") or ())
        )
        for i in inputs
    )
