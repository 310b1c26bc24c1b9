"""Faults of replay and fan-out that tests plant in the product's code, one at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from unittest.mock import patch

from chaincast.aws.fast.dynamodb import execute
from chaincast.fanout.handover import ReplayHandover
from chaincast.fanout.holds_reader import HoldReader
from chaincast.replay import start
from chaincast.replay.holds import Holds, place_hold
from chaincast.replay.start import PlannedReplay
from tests.interleavings.planted import Plant


def _place(*arguments: Any) -> Any:
    return place_hold(*arguments)


def _begins_at_its_own_cursor(table: str, place: Any, since: int, now_ms: int, before: Any) -> Any:
    write = _place(table, place, since, now_ms, before)
    write["Update"]["ExpressionAttributeValues"][":s"] = {"N": str(since)}
    return write


async def _takes_any_hold(self: ReplayHandover, key: Any, since: int, seq: int) -> str | None:
    """Place a hold although another replay is in progress."""
    update: dict[str, object] = {
        "TableName": self._table,
        "Key": {"topic_shard": {"S": key.partition}, "connection_id": {"S": key.connection_id}},
        "UpdateExpression": "SET replay = :t, since = :s, seen = :b REMOVE #a, closing, stalled",
        "ExpressionAttributeNames": {"#a": "after"},
        "ExpressionAttributeValues": {":t": {"S": key.token}, ":s": {"N": str(since)}, ":b": {"N": str(seq)}},
    }
    await execute(self._client, "UpdateItem", update)
    return str(key.connection_id)


async def _hands_nothing_over(self: ReplayHandover, source: str, seq: int, stalled: Any) -> list[str]:
    """Leave connections whose clients do not read."""
    return []


async def _hands_over_without_hold(self: ReplayHandover, key: Any, since: int, seq: int) -> str | None:
    return str(key.connection_id)


def _without_hold(self: PlannedReplay, table: str, before: Any) -> Any:
    """The hold comes after the rows: here, not at all."""
    write = _place(table, self.key, self._since, self._now_ms, before)
    write["Update"]["Key"]["topic_shard"] = {"S": "resuming/elsewhere#1.0"}
    return write


def _releases_at_once(self: Holds, place: Any, after: int) -> bool:
    """Release without `closing` and `passed`."""
    return self._update(place, "SET #a = :a", {":a": {"N": str(after)}}, "", {"#a": "after"}) is not None


def _ignores_seen(self: Holds, place: Any, after: int) -> bool:
    self._update(place, "SET closing = :c", {":c": {"BOOL": True}})
    if self._passed(place) > after:
        return False
    return self._update(place, "SET #a = :a", {":a": {"N": str(after)}}, "", {"#a": "after"}) is not None


def _reads_passed_first(self: Holds, place: Any, after: int) -> bool:
    if self._passed(place) > after:
        return False
    self._update(place, "SET closing = :c", {":c": {"BOOL": True}})
    return self._update(place, "SET #a = :a", {":a": {"N": str(after)}}, "seen <= :a", {"#a": "after"}) is not None


async def _reads_once(self: HoldReader, source: str, worker: Any, connections: Any, seq: int) -> Any:
    """Leave batches without reading the holds again."""
    holds = await self._read(source, worker)
    for partition in holds.to_pass(seq):
        await self._pass(partition, seq)
    return {c: holds.of[c].after for c in connections if c in holds.of}


async def _passes_silently(self: HoldReader, source: str, worker: Any, connections: Any, seq: int) -> Any:
    """Leave batches, and record that nowhere."""
    holds = await self._read(source, worker)
    return {c: holds.of[c].after for c in connections if c in holds.of}


async def _forgets_after(self: HoldReader, source: str, worker: Any, connections: Any, seq: int) -> Any:
    """Leave batches to replays whose holds are released."""
    return dict.fromkeys(await _left(self, source, worker, connections, seq))


_left = HoldReader.left_to_replay


def _any_since(self: Holds, place: Any) -> Any:
    found = _since(self, place)
    return (0, False) if found is None else found


_since = Holds.since


DELIVERY: Mapping[str, Plant] = {
    "a take-over begins at its own cursor": lambda: patch.object(start, "place_hold", _begins_at_its_own_cursor),
    "rows are live without a hold": lambda: patch.object(PlannedReplay, "hold", _without_hold),
    "a hold is released early": lambda: patch.object(Holds, "release", _releases_at_once),
    "a release reads what is left before it is announced": lambda: patch.object(Holds, "release", _reads_passed_first),
    "fan-out does not read the holds again": lambda: patch.object(HoldReader, "left_to_replay", _reads_once),
    "fan-out tells replays nothing": lambda: patch.object(HoldReader, "left_to_replay", _passes_silently),
    "fan-out leaves what follows a release": lambda: patch.object(HoldReader, "left_to_replay", _forgets_after),
    "a replay goes on without its hold": lambda: patch.object(Holds, "since", _any_since),
    "a release ignores what fan-out has left": lambda: patch.object(Holds, "release", _ignores_seen),
}
"""How each fault is planted in a resumption, by a description of it."""

TAKING_OVER: Mapping[str, Plant] = {
    "fan-out takes over any hold": lambda: patch.object(ReplayHandover, "_place", _takes_any_hold),
}
"""How a fault is planted in the meeting of a hand-over and a resumption."""

STALLING: Mapping[str, Plant] = {
    "fan-out leaves who does not read": lambda: patch.object(ReplayHandover, "hand_over", _hands_nothing_over),
    "fan-out hands over without a hold": lambda: patch.object(ReplayHandover, "_place", _hands_over_without_hold),
}
"""How each fault is planted in the hand-over of a client that does not read."""
