from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from chaincast.shards import partition, shard_of, topic_of_partition


@given(st.text(max_size=30), st.integers(1, 64))
def test_a_shard_is_stable_and_in_range(connection_id: str, shards: int) -> None:
    assert 0 <= shard_of(connection_id, shards) < shards
    assert shard_of(connection_id, shards) == shard_of(connection_id, shards)


def test_shards_share_evenly() -> None:
    counts = Counter(shard_of(f"L{i}abc=", 8) for i in range(8000))
    assert set(counts) == set(range(8))
    assert max(counts.values()) < 1.2 * min(counts.values())


def test_a_connection_of_one_shard_needs_no_hash() -> None:
    assert shard_of("anything", 1) == 0


def test_a_partition_is_a_topic_and_a_shard() -> None:
    assert partition("trades:bsc:*", 3) == "trades:bsc:*#3"
    assert topic_of_partition("trades:bsc:*#3") == "trades:bsc:*"
