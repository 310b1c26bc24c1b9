"""`chaincast import-archive`: deliver archived events again, on the local stack.

Batches are appended to the local event log under their source, in their order, with the next sequence numbers of that
log. Clients of the local stack receive them like all others, and history queries find their events.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import boto3

from chaincast.config.load import load
from chaincast.errors import CodecError
from chaincast.eventlog import archive_format
from chaincast.eventlog.checkpoint import read_checkpoint
from chaincast.eventlog.history_store import History
from chaincast.eventlog.log_store import Log
from chaincast.fanout.queue import FanoutQueue
from chaincast.model.batches import Batch
from chaincast.publishing.appender import Appender
from local.errors import StepFailed
from local.stack.administrator import session
from local.stack.checkout import ROOT
from local.stack.deployment import read_outputs
from local.terminal import Terminal

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient


_ARCHIVE_ADVICE = "give a folder with the archive's files, or s3://BUCKET"


def run(options: argparse.Namespace) -> int:
    """Import an archive until its end or Ctrl-C. Raises `StepFailed`."""
    importer = _Importer(options.port, read_outputs(options.port), options.speed)
    console = Terminal(stderr=True)
    for name, data in _files(options.archive):
        match = archive_format.NAME.search(name)
        if match is None or (options.source and match["source"] != options.source):
            continue
        try:
            batches = archive_format.decode(data)
        except CodecError as error:
            raise StepFailed("import", f"{name}: {error}", "remove files that are not part of the archive") from None
        for batch in batches:
            if batch.cursor > options.after:
                importer.add(batch)
        console.print(f"{name}: {importer.batches} batches, {importer.events} events so far", highlight=False)
    if not importer.batches:
        raise StepFailed("import", f"{options.archive}: it has no batches to import", _ARCHIVE_ADVICE)
    return 0


class _Importer:
    """Appends batches to the log of one local stack.

    `speed`: factor by which the import is faster than the original events; 0 to import without delay.
    """

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
        self._sources = config.settings(local=True).sources
        self._speed = speed
        self._began: tuple[float, int] | None = None
        self._checked: set[str] = set()
        self.batches = self.events = 0

    def add(self, batch: Batch) -> None:
        """Append a batch, after a delay that keeps the pace. Raises `StepFailed` if its source cannot be imported."""
        self._check_source(batch.source)
        self._wait(batch.timestamp)
        now = int(time.time() * 1000)
        # The batch gets the current time, because old batches expire from the log immediately.
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

    def _check_source(self, source: str) -> None:
        """Raise `StepFailed` if the stack does not have the source, or if a listener writes it."""
        if source in self._checked:
            return
        if source not in self._sources:
            sources = ", ".join(self._sources)
            why = f"source {source!r}: the local stack has only {sources}"
            raise StepFailed("import", why, "add it to chaincast.toml, or choose another with --source")
        item = read_checkpoint(self._database, self._state, source)
        if "lease_until" in item and float(item["lease_until"]["N"]) > time.time():
            why = f"source {source!r}: a listener of the local stack writes it"
            raise StepFailed("import", why, "choose a source without a listener, with --source")
        self._checked.add(source)


def _files(archive: str) -> Iterator[tuple[str, bytes]]:
    """Yield names and contents of the archive's files in the order of source and cursor. Raises `StepFailed`."""
    if archive.startswith("s3://"):
        bucket, _, prefix = archive.removeprefix("s3://").partition("/")
        s3 = boto3.client("s3")
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        for name in sorted(item["Key"] for page in pages for item in page.get("Contents", [])):
            yield name, s3.get_object(Bucket=bucket, Key=name)["Body"].read()
        return
    folder = Path(archive)
    if not folder.exists():
        raise StepFailed("import", f"{archive}: no such file or folder", _ARCHIVE_ADVICE)
    for path in sorted([folder] if folder.is_file() else folder.rglob("*.jsonl.gz")):
        yield path.as_posix(), path.read_bytes()
