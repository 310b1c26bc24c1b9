"""Classification of the errors of nodes. Pure. Providers word the same few kinds of errors in many ways.

Sources: EIP-1474 (error codes), and the error messages of geth, reth, erigon and the hosted providers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from chaincast.errors import SourceError


class RangeTooLarge(SourceError):
    """The response for a range of blocks would be too long. `suggested` is the range that the provider proposes."""

    def __init__(self, message: str, suggested: int | None = None) -> None:
        super().__init__(message)
        self.suggested = suggested


class Throttled(SourceError):
    """The endpoint refuses because of too many requests. `retry_after` is the delay that it asks for, in seconds."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class BlockUnavailable(SourceError):
    """The node does not have an expected block, or not yet with all its logs: it is behind another node."""


class Reverted(SourceError):
    """A contract's call reverted. It would revert on every node, so it is not a fault of this one."""


class NoResponse(SourceError):
    """The endpoint did not respond in time."""


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
    """Return the text in one line of at most `limit` characters, without URLs, which may hold a provider's key."""
    return _URL.sub("(its URL)", text.replace("\n", " "))[:limit]


def rpc_fault(call: str, error: object) -> SourceError:
    """Return the exception for the `error` member of a JSON-RPC response."""
    code, words = (error.get("code"), str(error.get("message", ""))) if isinstance(error, Mapping) else (None, "")
    text = f"{call}: the node answered {without_urls(f'{code} {words or error!r}')}"
    if _MISSING.search(words):
        return BlockUnavailable(text)
    if _RANGE.search(words):
        return RangeTooLarge(text, _suggested(words))
    if code in _RATE_CODES or _RATE.search(words):
        return Throttled(text)
    if code == _REVERTED or _REVERT.search(words):
        return Reverted(text)
    return SourceError(text)


def http_fault(call: str, status: int, retry_after: str | None) -> SourceError:
    """Return the exception for an HTTP status whose body is not a JSON-RPC response.

    `retry_after` is the value of the header of that name.
    """
    text = f"{call}: HTTP status {status}"
    if status == 413:
        return RangeTooLarge(text)
    if status in (429, 503):
        return Throttled(text, _seconds(retry_after))
    return SourceError(text)


def _seconds(text: str | None) -> float | None:
    """Return the seconds of a `Retry-After` header. A date (the header's other form) counts as a missing header."""
    try:
        return min(max(float(text or ""), 0.0), MAX_RETRY_AFTER)
    except ValueError:
        return None


def _suggested(words: str) -> int | None:
    match = _SUGGESTED.search(words)
    if match is None:
        return None
    first, last = (int(part, 0) for part in match.groups() if part is not None)
    return last - first + 1 if last >= first else None
