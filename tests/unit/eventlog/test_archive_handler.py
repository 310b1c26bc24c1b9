"""Tests of the archive's handler with a fake archiver."""

from __future__ import annotations

import pytest

from chaincast.eventlog.archive_handler import ArchiveHandler
from chaincast.eventlog.archiver import Overtaken
from chaincast.metrics.logger import make_logger
from tests.unit.handler_fakes import CountingMetrics


class Archiver:
    def __init__(self, **outcomes: int | Exception) -> None:
        self.outcomes = outcomes

    def archive(self, source: str) -> int:
        outcome = self.outcomes[source]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def test_every_source_is_archived_and_counted() -> None:
    metrics = CountingMetrics()
    handler = ArchiveHandler(Archiver(bsc=3, base=0), ("bsc", "base"), metrics, make_logger("test"))
    assert handler.handle() == {"bsc": 3, "base": 0}
    assert metrics.counts["BatchesArchived"] == 3


def test_a_source_that_another_invocation_archives_is_left_out() -> None:
    metrics = CountingMetrics()
    archiver = Archiver(bsc=Overtaken("bsc"), base=2)
    assert ArchiveHandler(archiver, ("bsc", "base"), metrics, make_logger("test")).handle() == {"base": 2}


def test_any_other_failure_ends_the_invocation_so_that_it_is_retried() -> None:
    handler = ArchiveHandler(Archiver(bsc=ConnectionError("S3")), ("bsc",), CountingMetrics(), make_logger("test"))
    with pytest.raises(ConnectionError):
        handler.handle()
