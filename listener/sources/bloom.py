"""The logs bloom of a block header: it shows if a block can have requested logs, and if received logs are complete.

Source: Ethereum yellow paper, 4.4.3 (the function M3:2048).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from eth_utils.crypto import keccak

from listener.sources.base import LogFilter, RawLog

BITS = 2048


@lru_cache(maxsize=16_384)
def _mask(value: bytes) -> int:
    digest = keccak(value)
    mask = 0
    for i in (0, 2, 4):
        mask |= 1 << (int.from_bytes(digest[i : i + 2], "big") & (BITS - 1))
    return mask


def _masks(values: Iterable[bytes]) -> int:
    bits = 0
    for value in values:
        bits |= _mask(value)
    return bits


def compute_bloom(logs: Iterable[RawLog]) -> int:
    """Return the bloom of a block that has exactly these logs."""
    bits = 0
    for log in logs:
        bits |= _mask(bytes.fromhex(log.address[2:])) | _masks(log.topics)
    return bits


def may_match(bloom: int, wanted: LogFilter) -> bool:
    """Return False if a block with this bloom certainly has no log of the filter. True may be a false positive."""

    def any_of(values: Iterable[bytes]) -> bool:
        return any(bloom & (mask := _mask(value)) == mask for value in values)

    addresses = (bytes.fromhex(address[2:]) for address in wanted.addresses)
    return (not wanted.addresses or any_of(addresses)) and (not wanted.topics0 or any_of(wanted.topics0))


def false_positive_rate(bloom: int, wanted: LogFilter) -> float:
    """Return the probability (0…1) that a bloom with as many set bits matches such a filter by accident.

    The bloom of a busy block has most bits set, so that a match has no meaning.
    """
    per_value = (bloom.bit_count() / BITS) ** 3

    def any_of(count: int) -> float:
        return 1 - (1 - per_value) ** count if count else 1.0

    return any_of(len(wanted.addresses)) * any_of(len(wanted.topics0))
