"""`chaincast replay`: what was archived, told again by the stack that runs on this machine.

Batches are appended to the local Log under their source, in their order, with the local Log's next numbers; clients of
the local stack get them as they would any others, and the getters find their events.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from rich.console import Console

from chaincast.config.load import load
from chaincast.errors import CodecError
from chaincast.eventlog import archive_format
from chaincast.eventlog.checkpoint import read_checkpoint
from chaincast.eventlog.history_store import History
from chaincast.eventlog.log_store import Log
from chaincast.fanout.queue import FanoutQueue
from chaincast.model.batches import Batch
from chaincast.publishing.appender import Appender
from local.stack.administrator import session
from local.stack.deployment import STACK, run_directory
from local.stack.tools import ROOT, StepFailed

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient


def run(options: argparse.Namespace) -> int:
    """Replay an archive until its end or Ctrl-C."""
    outputs = run_directory(options.port) / "outputs.json"
    if not outputs.exists():
        raise StepFailed("replay", f"no stack runs on port {options.port} of this machine", "make dev")
    player = _Player(options.port, json.loads(outputs.read_text())[STACK], options.speed)
    console = Console(stderr=True)
    for name, data in _files(options.archive):
        found = archive_format.NAME.search(name)
        if found is None or (options.source and found["source"] != options.source):
            continue
        try:
            batches = archive_format.decode(data)
        except CodecError as error:
            raise StepFailed("replay", f"{name}: {error}", "is it a file of the archive?") from None
        for batch in batches:
            if batch.cursor > options.after:
                player.play(batch)
        console.print(f"{name}: {player.batches} batches, {player.events} events so far", highlight=False)
    if not player.batches:
        raise StepFailed("replay", f"{options.archive}: nothing to replay", "a folder or s3:// URL of the archive")
    return 0


class _Player:
    """Appends to one local stack, at the pace that the batches had, so many times as fast (0: as fast as it goes)."""

    def __init__(self, port: int, outputs: dict[str, str], speed: float) -> None:
        config = load(ROOT / "chaincast.toml")
        endpoint = f"http://127.0.0.1:{port}"
        local = session()
        database: DynamoDBClient = local.client("dynamodb", endpoint_url=endpoint)
        queues: SQSClient = local.client("sqs", endpoint_url=endpoint)
        self._database, self._state = database, outputs["StateTable"]
        log = Log(database, outputs["LogTable"], config.retention.log_hours * 3600)
        queue = FanoutQueue(queues, outputs["FanoutQueueUrl"])
        self._appender = Appender(database, self._state, log, queue, config.fanout.shards)
        self._history = History(database, outputs["HistoryTable"], config.retention.history_days * 86400)
        self._known = config.settings(local=True).sources
        self._speed = speed
        self._began: tuple[float, int] | None = None
        self._checked: set[str] = set()
        self.batches = self.events = 0

    def play(self, batch: Batch) -> None:
        """Append a batch (or part of one: each becomes a batch), when its time has come."""
        self._check(batch.source)
        self._wait(batch.timestamp)
        now = int(time.time() * 1000)
        # As of now: what is old would be forgotten at once.
        draft = Batch(
            source=batch.source,
            seq=0,
            timestamp=now,
            events=batch.events,
            retracted=batch.retracted,
            block=batch.block,
            block_hash=batch.block_hash,
        )
        if batch.block is not None:
            self._history.add([draft])
        self._appender.append([draft])
        self.batches += 1
        self.events += len(batch.events)

    def _wait(self, timestamp: int) -> None:
        now = time.monotonic()
        if self._began is None:
            self._began = (now, timestamp)
        elif self._speed:
            began, first = self._began
            time.sleep(max(0.0, began + (timestamp - first) / 1000 / self._speed - now))

    def _check(self, source: str) -> None:
        """Whether the stack knows the source, and nobody else writes it. Raises `StepFailed`."""
        if source in self._checked:
            return
        if source not in self._known:
            known = ", ".join(self._known)
            raise StepFailed("replay", f"the stack does not know {source!r}, only {known}", "add it to chaincast.toml")
        item = read_checkpoint(self._database, self._state, source)
        if "lease_until" in item and float(item["lease_until"]["N"]) > time.time():
            raise StepFailed("replay", f"a listener follows {source!r} here", "replay sources that nobody follows")
        self._checked.add(source)


def _files(place: str) -> Iterator[tuple[str, bytes]]:
    """The archive's files, in the order of their names: by source, then cursor. Raises `StepFailed`."""
    if place.startswith("s3://"):
        bucket, _, prefix = place.removeprefix("s3://").partition("/")
        s3 = boto3.client("s3")
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        for name in sorted(item["Key"] for page in pages for item in page.get("Contents", [])):
            yield name, s3.get_object(Bucket=bucket, Key=name)["Body"].read()
        return
    folder = Path(place)
    if not folder.exists():
        raise StepFailed("replay", f"{place}: no such file or folder", "a folder or s3:// URL of the archive")
    for path in sorted([folder] if folder.is_file() else folder.rglob("*.jsonl.gz")):
        yield path.as_posix(), path.read_bytes()
