"""Decoders of Clarity values to JSON, from the consensus serialization (hex) and from the text form (`repr`).

Integers (128 bits) become decimal strings, buffers 0x hex, principals their address, `none` null, and a response
{"ok": …} or {"err": …}. Source: Stacks SIP-005, "Clarity Value Representation"; addresses: c32check (SIP-005 appendix).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

from chaincast.model.events import Json
from listener.adapters.codec import Undecodable

MAX_DEPTH = 32
"""Greatest depth of nested values, which is Clarity's own limit."""

_C32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def decode_hex(text: str) -> Json:
    """Return the value of a serialization (hex digits, with or without 0x). Raise `Undecodable`."""
    try:
        data = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        raise Undecodable(f"{text[:40]!r} is not hexadecimal") from None
    reader = _Reader(data)
    value = reader.value(0)
    if reader.at != len(data):
        raise Undecodable(f"{len(data) - reader.at} bytes follow the value")
    return value


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def take(self, size: int) -> bytes:
        if self.at + size > len(self._data):
            raise Undecodable(f"{len(self._data) - self.at} bytes are left where {size} are needed")
        self.at += size
        return self._data[self.at - size : self.at]

    def length(self, size: int = 4) -> int:
        return int.from_bytes(self.take(size), "big")

    def value(self, depth: int) -> Json:
        if depth > MAX_DEPTH:
            raise Undecodable(f"values are nested deeper than {MAX_DEPTH}")
        kind = self.take(1)[0]
        match kind:
            case 0x00 | 0x01:
                return str(int.from_bytes(self.take(16), "big", signed=kind == 0))
            case 0x02:
                return "0x" + self.take(self.length()).hex()
            case 0x03 | 0x04:
                return kind == 0x03
            case 0x05:
                return self._principal()
            case 0x06:
                return f"{self._principal()}.{self._name()}"
            case 0x07 | 0x08:
                return {"ok" if kind == 0x07 else "err": self.value(depth + 1)}
            case 0x09:
                return None
            case 0x0A:
                return self.value(depth + 1)
            case 0x0B:
                return [self.value(depth + 1) for _ in range(self._count())]
            case 0x0C:
                return {self._name(): self.value(depth + 1) for _ in range(self._count())}
            case 0x0D | 0x0E:
                return self.take(self.length()).decode("utf-8", "replace")
        raise Undecodable(f"0x{kind:02x} is not the prefix of a Clarity type")

    def _count(self) -> int:
        """Read a number of values. Each value has at least one byte, which limits the number."""
        count = self.length()
        if count > len(self._data) - self.at:
            raise Undecodable(f"{count} values do not fit in {len(self._data) - self.at} bytes")
        return count

    def _principal(self) -> str:
        version = self.take(1)[0]
        return c32_address(version, self.take(20))

    def _name(self) -> str:
        return self.take(self.length(1)).decode("ascii", "replace")


def c32_address(version: int, hash160: bytes) -> str:
    """Return a Stacks address, for example `SP…`. Raise `Undecodable` if the version is not less than 32."""
    if version >= 32:
        raise Undecodable(f"address version {version} is not less than 32")
    checksum = hashlib.sha256(hashlib.sha256(bytes([version]) + hash160).digest()).digest()[:4]
    data = hash160 + checksum
    number, digits = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, 32)
        digits = _C32[digit] + digits
    zeros = len(data) - len(data.lstrip(b"\0"))
    return "S" + _C32[version] + "0" * zeros + digits


_WORD = re.compile(r"""\s*(\(|\)|u?"(?:[^"\\]|\\.)*"|'?[^\s()"]+)""")
_INTEGER = re.compile(r"u?(-?\d+)")
_PRINCIPAL = re.compile(r"S[0-9A-Z]{20,41}(\.[a-zA-Z0-9-]+)?")
_ESCAPE = re.compile(r"\\(u\{([0-9a-fA-F]+)\}|.)")
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "0": "\0"}


def parse_repr(text: str) -> Json:
    """Return the value of a text form, for example `(tuple (amount u5) (to 'SP…))`. Raise `Undecodable`."""
    words = _words(text)
    value = _parse(next(words, ""), words, 0)
    if (left := next(words, None)) is not None:
        raise Undecodable(f"{left[:40]!r} follows the value")
    return value


def _words(text: str) -> Iterator[str]:
    at, text = 0, text.rstrip()
    while at < len(text):
        found = _WORD.match(text, at)
        if found is None:
            raise Undecodable(f"{text[at : at + 40]!r} is not valid Clarity text")
        yield found.group(1)
        at = found.end()


def _parse(word: str, words: Iterator[str], depth: int) -> Json:
    if depth > MAX_DEPTH:
        raise Undecodable(f"values are nested deeper than {MAX_DEPTH}")
    if word == "(":
        return _parse_form(words, depth)
    if word.endswith('"'):
        return _unescaped(word.removeprefix("u")[1:-1])
    if found := _INTEGER.fullmatch(word):
        return found.group(1)
    if word in ("true", "false", "none"):
        return {"true": True, "false": False, "none": None}[word]
    if word.startswith("0x"):
        return word
    if _PRINCIPAL.fullmatch(word.removeprefix("'")):
        return word.removeprefix("'")
    raise Undecodable(f"{word[:40]!r} is not a Clarity value")


def _parse_form(words: Iterator[str], depth: int) -> Json:
    head = next(words, "")
    if head == "tuple":
        members: dict[str, Json] = {}
        while (word := next(words, "")) == "(":
            name = next(words, "")
            members[name] = _parse(next(words, ""), words, depth + 1)
            _expect(next(words, ""))
        _expect(word)
        return members
    values: list[Json] = []
    while (word := next(words, "")) not in (")", ""):
        values.append(_parse(word, words, depth + 1))
    _expect(word)
    if head == "list":
        return values
    if head in ("ok", "err", "some") and len(values) == 1:
        return values[0] if head == "some" else {head: values[0]}
    raise Undecodable(f"({head[:40]} …) with {len(values)} values is not a Clarity value")


def _expect(word: str) -> None:
    if word != ")":
        raise Undecodable(f"{word[:40]!r} was found where ')' is needed")


def _unescaped(text: str) -> str:
    def character(found: re.Match[str]) -> str:
        if found.group(2):
            point = int(found.group(2), 16)
            # A surrogate is not a character; JSON cannot contain it.
            return chr(point) if point < 0xD800 or 0xDFFF < point < 0x110000 else "\ufffd"
        return _ESCAPED.get(found.group(1), found.group(1))

    return _ESCAPE.sub(character, text)
