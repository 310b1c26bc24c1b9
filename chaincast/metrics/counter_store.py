"""Stored counters: items of State that hold a number per series (chaincast/metrics/counters.py)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, UpdateItemInputTypeDef

_OTHERS = frozenset({"key", "sort", "since", "expires_at"})
"""What such items hold besides."""


def addition(
    table: str,
    key: str,
    sort: str,
    counts: Mapping[str, int],
    besides: str,
    value: int,
) -> UpdateItemInputTypeDef:
    """The update that adds counts to an item. `besides`: an assignment that names its `value` :v."""
    numbered = list(enumerate(counts.items()))
    return {
        "TableName": table,
        "Key": {"key": {"S": key}, "sort": {"S": sort}},
        "UpdateExpression": f"SET {besides} ADD " + ", ".join(f"#{place} :{place}" for place, _ in numbered),
        "ExpressionAttributeNames": {f"#{place}": name for place, (name, _) in numbered},
        "ExpressionAttributeValues": {
            ":v": {"N": str(value)},
            **{f":{place}": {"N": str(count)} for place, (_, count) in numbered},
        },
    }


def summed(items: Iterable[Mapping[str, AttributeValueTypeDef]]) -> Counter[str]:
    """The sums of several items, put together."""
    found: Counter[str] = Counter()
    for item in items:
        for name, value in item.items():
            if name not in _OTHERS:
                found[name] += int(value["N"])
    return found
