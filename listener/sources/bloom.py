"""A block header's logs bloom: whether logs that are asked for can be in a block, and whether all of them came.

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


def bloom_of(logs: Iterable[RawLog]) -> int:
    """The bloom that a block with just these logs has."""
    bits = 0
    for log in logs:
        bits |= _mask(bytes.fromhex(log.address[2:])) | _masks(log.topics)
    return bits


def may_match(bloom: int, wanted: LogFilter) -> bool:
    """Whether a block of this bloom can have logs of that filter: False is certain, True is not."""

    def any_of(values: Iterable[bytes]) -> bool:
        return any(bloom & (mask := _mask(value)) == mask for value in values)

    addresses = (bytes.fromhex(address[2:]) for address in wanted.addresses)
    return (not wanted.addresses or any_of(addresses)) and (not wanted.topics0 or any_of(wanted.topics0))


def chance(bloom: int, wanted: LogFilter) -> float:
    """How likely it is that a bloom with so many bits matches such a filter by accident (0…1).

    A busy block has most of its bits: that it matches says nothing then.
    """
    one = (bloom.bit_count() / BITS) ** 3

    def any_of(count: int) -> float:
        return 1 - (1 - one) ** count if count else 1.0

    return any_of(len(wanted.addresses)) * any_of(len(wanted.topics0))
