"""Tests of gaps in the event log, which DynamoDB makes when it deletes expired items in no particular order."""

from __future__ import annotations

import pytest

from chaincast.model.batches import Batch
from chaincast.replay.replayer import oldest_after_gap


def batch(seq: int, part: int = 0, parts: int = 1) -> Batch:
    return Batch(source="anvil", seq=seq, timestamp=0, part=part, parts=parts)


@pytest.mark.parametrize(
    ("batches", "oldest"),
    [
        ([], None),
        ([batch(5), batch(6), batch(7)], None),
        ([batch(5, 0, 2), batch(5, 1, 2), batch(6)], None),
        ([batch(6), batch(7)], 5),
        ([batch(5), batch(7)], 6),
        ([batch(5), batch(7), batch(9), batch(10)], 8),
        ([batch(5, 1, 2), batch(6)], 5),
        ([batch(5, 0, 3), batch(5, 2, 3), batch(6)], 5),
        ([batch(5, 0, 2), batch(6)], 5),
    ],
)
def test_the_oldest_cursor_that_works_lies_after_the_last_gap(batches: list[Batch], oldest: int | None) -> None:
    assert oldest_after_gap(batches, 4) == oldest
