"""What a node's error means for us: pure. Providers say the same things in many words; their kinds are few.

Sources: EIP-1474 (error codes), and the words of geth, reth, erigon and the hosted providers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from chaincast.errors import SourceError


class RangeTooLarge(SourceError):
    """The answer to a range of blocks would be too long: a shorter range will do. `suggested`: how many blocks."""

    def __init__(self, message: str, suggested: int | None = None) -> None:
        super().__init__(message)
        self.suggested = suggested


class Throttled(SourceError):
    """Too many requests. `retry_after`: the seconds that the endpoint asks for."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class NotThere(SourceError):
    """A block that should be there is not, or not yet, or not with all it brought: this node is behind another."""


class Reverted(SourceError):
    """A contract's call failed, as it would anywhere: it says nothing about the node."""


class NoAnswer(SourceError):
    """The endpoint took too long."""


_URL = re.compile(r"(wss?|https?)://\S+")
_MISSING = re.compile(
    r"unknown block|header not found|block (is )?not found|(block|blocks) .*(cannot|could not) be found"
    r"|missing trie node|invalid block range params|beyond (the )?(current )?head|greater than (the )?latest"
    r"|after last accepted|not yet available",
    re.I,
)
_RANGE = re.compile(
    r"more than [\d,]+ (results|logs)|max(imum)? results|logs? (matched|response)|response (is too|size|too)"
    r"|block range|ranges? (is|are|over|of|should|limit|too)|max(imum)? (allowed )?(block )?range|[\d,]+k? range"
    r"|too many blocks|query timeout|limited to .*(range|blocks)",
    re.I,
)
_RATE = re.compile(
    r"rate.?limit|too many requests|request (count|rate)|compute units|throughput|capacity|limit exceeded|throttl", re.I
)
_REVERT = re.compile(
    r"revert|out of gas|invalid (opcode|jump)|vm (execution )?(error|exception)|stack (under|over)flow", re.I
)
_REVERTED = 3
_SUGGESTED = re.compile(r"\[(0x[0-9a-f]+|\d+), ?(0x[0-9a-f]+|\d+)\]|range (\d+)-(\d+)", re.I)
_RATE_CODES = frozenset({-32005, -32029, 429})
MAX_RETRY_AFTER = 60.0


def without_urls(text: str, limit: int = 300) -> str:
    """The text in one line, cut, and without URLs, which may hold a provider's key."""
    return _URL.sub("(its URL)", text.replace("\n", " "))[:limit]


def rpc_fault(call: str, error: object) -> SourceError:
    """What the `error` member of a JSON-RPC answer means."""
    code, words = (error.get("code"), str(error.get("message", ""))) if isinstance(error, Mapping) else (None, "")
    text = f"{call}: the node answered {without_urls(f'{code} {words or error!r}')}"
    if _MISSING.search(words):
        return NotThere(text)
    if _RANGE.search(words):
        return RangeTooLarge(text, _suggested(words))
    if code in _RATE_CODES or _RATE.search(words):
        return Throttled(text)
    if code == _REVERTED or _REVERT.search(words):
        return Reverted(text)
    return SourceError(text)


def http_fault(call: str, status: int, retry_after: str | None) -> SourceError:
    """What an HTTP status means where the body is no JSON-RPC answer. `retry_after`: the header, seconds."""
    text = f"{call}: HTTP status {status}"
    if status == 413:
        return RangeTooLarge(text)
    if status in (429, 503):
        return Throttled(text, _seconds(retry_after))
    return SourceError(text)


def _seconds(text: str | None) -> float | None:
    """A date instead of seconds is not worth a parser: it is as if nothing were said."""
    try:
        return min(max(float(text or ""), 0.0), MAX_RETRY_AFTER)
    except ValueError:
        return None


def _suggested(words: str) -> int | None:
    found = _SUGGESTED.search(words)
    if found is None:
        return None
    first, last = (int(part, 0) for part in found.groups() if part is not None)
    return last - first + 1 if last >= first else None
