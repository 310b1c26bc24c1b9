"""Many questions to contracts in one: Multicall3, which is at the same address on nearly every chain.

Source: Multicall3 (mds1/multicall3), `aggregate3((address target, bool allowFailure, bytes callData)[])`.
"""

from __future__ import annotations

from collections.abc import Sequence

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from listener.adapters.codec import Parameter, Undecodable, budget_for, compile_type, members

ADDRESS = "0xca11bde05977b3631167028862be2a173976ca11"
AT_ONCE = 100
"""Some three million gas at most; nodes allow an eth_call fifty."""

_AGGREGATE = keccak(text="aggregate3((address,bool,bytes)[])")[:4]
_RESULT = Parameter("", "tuple[]", False, (Parameter("success", "bool"), Parameter("data", "bytes")))
_read = members([compile_type(_RESULT)])


def encode_calls(calls: Sequence[tuple[str, bytes]]) -> bytes:
    """Call data that asks all of (address, call data), whatever some of them answer."""
    return _AGGREGATE + encode(["(address,bool,bytes)[]"], [[(address, True, data) for address, data in calls]])


def decode_answers(answer: bytes, count: int) -> list[bytes | None] | None:
    """What each of `count` answered, None for a failure; None if that is no answer of Multicall3's."""
    try:
        found = _read(answer, 0, budget_for(answer))[0]
    except Undecodable:
        return None
    return [one["data"] if one["success"] else None for one in found] if len(found) == count else None
