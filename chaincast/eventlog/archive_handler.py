"""Handles the archive's schedule: copies new batches of every source to S3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from aws_lambda_powertools import Logger

from chaincast.eventlog.archiver import Overtaken
from chaincast.metrics.recorder import MetricsRecorder


class SourceArchiver(Protocol):
    """Archives one source (chaincast/eventlog/archiver.py)."""

    def archive(self, source: str) -> int: ...


class ArchiveHandler:
    """Archives all sources of a deployment."""

    def __init__(
        self, archiver: SourceArchiver, sources: Sequence[str], metrics: MetricsRecorder, logger: Logger
    ) -> None:
        self._archiver = archiver
        self._sources = sources
        self._metrics = metrics
        self._logger = logger

    def handle(self) -> dict[str, int]:
        """Archive every source. Return the number of archived batches by source.

        A source that another invocation is archiving is left out.
        """
        archived: dict[str, int] = {}
        for source in self._sources:
            try:
                archived[source] = self._archiver.archive(source)
            except Overtaken as error:
                self._logger.warning("source skipped", error=str(error))
        self._logger.info("archived", extra={"batches": archived})
        self._metrics.count("BatchesArchived", sum(archived.values()))
        return archived
