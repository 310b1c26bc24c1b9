"""Transactions of DynamoDB: all writes take effect, or none.

DynamoDB cancels a transaction that meets another write to one of its items (`TransactionConflict`). The SDK does not
repeat it, so this module does. A single write that meets a transaction fails in the same way
(`TransactionConflictException`), which `retry_conflicts` handles.

Source: Amazon DynamoDB Developer Guide, "Transaction conflict handling in DynamoDB".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from random import uniform
from typing import TYPE_CHECKING, Final, TypeVar

from botocore.exceptions import ClientError as AwsError

from chaincast.errors import ChaincastError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

MAX_ITEMS: Final = 100
"""DynamoDB's maximum number of writes in a transaction."""

TRANSIENT: Final = frozenset({"None", "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})
"""Reasons of a cancelled transaction that deserve another attempt."""

_ATTEMPTS = 8
_CONDITION = "ConditionalCheckFailed"

Result = TypeVar("Result")


class ConditionsFailed(ChaincastError):
    """A transaction was cancelled because conditions did not hold. `positions`: of the writes that had them."""

    def __init__(self, positions: frozenset[int]) -> None:
        super().__init__(f"conditions of writes {sorted(positions)} do not hold")
        self.positions = positions


def transact(client: DynamoDBClient, writes: Sequence[TransactWriteItemTypeDef]) -> None:
    """Carry out writes, all or none. Raise `ConditionsFailed`; other reasons are raised as botocore's error."""
    for attempt in range(_ATTEMPTS):
        if attempt:
            _pause(attempt)
        try:
            client.transact_write_items(TransactItems=writes)
        except client.exceptions.TransactionCanceledException as error:
            reasons = cancellation_reasons(error)
            if failed := frozenset(n for n, reason in enumerate(reasons) if reason == _CONDITION):
                raise ConditionsFailed(failed) from None
            if attempt == _ATTEMPTS - 1 or not TRANSIENT.issuperset(reasons):
                raise
        else:
            return


def retry_conflicts(write: Callable[[], Result]) -> Result:
    """Carry out a single write, again if it met a transaction."""
    for attempt in range(_ATTEMPTS):
        if attempt:
            _pause(attempt)
        try:
            return write()
        except AwsError as error:
            if error.response["Error"]["Code"] != "TransactionConflictException" or attempt == _ATTEMPTS - 1:
                raise
    raise AssertionError  # the last attempt returned or raised


def cancellation_reasons(error: AwsError) -> list[str]:
    """Return the reason of each write of a cancelled transaction ("None": it would have been carried out)."""
    reasons: list[dict[str, str]] = error.response.get("CancellationReasons", [])  # type: ignore[assignment]  # typed as any response
    return [reason.get("Code", "None") for reason in reasons]


def _pause(attempt: int) -> None:
    time.sleep(uniform(0.5, 1) * 0.02 * 2**attempt)  # noqa: S311 - jitter, no secret
