"""Stored counters: items of State that hold a number per series (chaincast/metrics/counters.py)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, UpdateItemInputTypeDef

_OTHERS = frozenset({"key", "sort", "since", "expires_at"})
"""Attributes of such items that are not counters."""


def addition(
    table: str,
    key: str,
    sort: str,
    counts: Mapping[str, int],
    *,
    since: int | None = None,
    expires_at: int | None = None,
) -> UpdateItemInputTypeDef:
    """Return the update that adds counts to an item. Times are in seconds since the epoch; give exactly one.

    `since`: when a new item begins to count, which an existing item keeps. `expires_at`: when the item expires.
    """
    if since is not None:
        assignment, time = "since = if_not_exists(since, :time)", since
    else:
        assert expires_at is not None
        assignment, time = "expires_at = :time", expires_at
    numbered = list(enumerate(counts.items()))
    return {
        "TableName": table,
        "Key": {"key": {"S": key}, "sort": {"S": sort}},
        "UpdateExpression": f"SET {assignment} ADD " + ", ".join(f"#{number} :{number}" for number, _ in numbered),
        "ExpressionAttributeNames": {f"#{number}": name for number, (name, _) in numbered},
        "ExpressionAttributeValues": {
            ":time": {"N": str(time)},
            **{f":{number}": {"N": str(count)} for number, (_, count) in numbered},
        },
    }


def summed(items: Iterable[Mapping[str, AttributeValueTypeDef]]) -> Counter[str]:
    """Return the sums of the counters of several items."""
    found: Counter[str] = Counter()
    for item in items:
        for name, value in item.items():
            if name not in _OTHERS:
                found[name] += int(value["N"])
    return found
