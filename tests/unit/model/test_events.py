from __future__ import annotations

import pytest

from chaincast.model.events import Event, event_id
from tests.factories import make_event

HASH = "0x1234abcdef" + "0" * 54


def test_an_id_names_source_block_branch_and_log() -> None:
    assert event_id("bsc", 42, HASH, 3) == "bsc:42:1234abcd:3"
    assert event_id("bsc", 42, HASH, 3, n=2) == "bsc:42:1234abcd:3:2"


def test_the_same_log_on_another_branch_has_another_id() -> None:
    assert event_id("bsc", 42, HASH, 3) != event_id("bsc", 42, "0x99" + HASH[4:], 3)


def test_a_position_is_only_for_events_of_a_chain() -> None:
    assert make_event(5, block=9).position == "000000000009.000005.00"
    with pytest.raises(ValueError, match="has no position"):
        _ = Event(id="x", kind="price", timestamp=0, topics=(), data={}).position
