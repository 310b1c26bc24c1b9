"""Many contract calls in one request, by the contract Multicall3, which has the same address on nearly every chain.

Source: Multicall3 (mds1/multicall3), `aggregate3((address target, bool allowFailure, bytes callData)[])`.
"""

from __future__ import annotations

from collections.abc import Sequence

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from listener.adapters.codec import Parameter, Undecodable, budget_for, compile_type, members

ADDRESS = "0xca11bde05977b3631167028862be2a173976ca11"
MAX_CALLS = 100
"""Maximum number of calls per request. They need about three million gas; nodes allow fifty million per eth_call."""

_AGGREGATE = keccak(text="aggregate3((address,bool,bytes)[])")[:4]
_RESULT = Parameter("", "tuple[]", False, (Parameter("success", "bool"), Parameter("data", "bytes")))
_read = members([compile_type(_RESULT)])


def encode_calls(calls: Sequence[tuple[str, bytes]]) -> bytes:
    """Return the call data of one request for all calls (address, data). A failed call does not fail the others."""
    return _AGGREGATE + encode(["(address,bool,bytes)[]"], [[(address, True, data) for address, data in calls]])


def decode_results(response: bytes, count: int) -> list[bytes | None] | None:
    """Return the results of `count` calls, None for a failed call; None if the response is not Multicall3's."""
    try:
        results = _read(response, 0, budget_for(response))[0]
    except Undecodable:
        return None
    return [result["data"] if result["success"] else None for result in results] if len(results) == count else None
