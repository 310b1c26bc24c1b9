from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from chaincast.model.sharding import partition, shard_assignments, shard_of, subscription_partition


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


def test_a_partition_is_a_topic_and_a_shard_of_so_many() -> None:
    assert partition("trades:bsc:*", 4, 3) == "trades:bsc:*#4.3"
    assert subscription_partition("tokens:bsc", "L1=", 1) == "tokens:bsc#1.0"


def test_a_worker_reads_its_own_partition_only_while_s_does_not_change() -> None:
    assert [w.partitions("system") for w in shard_assignments(2, ())] == [
        [("system#2.0", False)],
        [("system#2.1", False)],
    ]


@given(
    st.lists(st.text("abcXYZ019=-_", min_size=1, max_size=12), unique=True, max_size=40),
    st.integers(1, 12),
    st.lists(st.integers(1, 12), max_size=3),
    st.data(),
)
def test_whatever_s_a_row_was_written_under_exactly_one_worker_finds_it(
    connections: list[str], shards: int, readable: list[int], data: st.DataObject
) -> None:
    under = {c: data.draw(st.sampled_from([shards, *readable])) for c in connections}
    rows = {c: subscription_partition("system", c, under[c]) for c in connections}
    found: list[str] = []
    for worker in shard_assignments(shards, readable):
        for key, shared in worker.partitions("system"):
            here = [c for c in connections if rows[c] == key]
            assert shared or all(worker.serves(c) for c in here)
            found += [c for c in here if worker.serves(c)]
    assert sorted(found) == sorted(connections)
