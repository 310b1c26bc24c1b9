"""The scheduled function of the archive."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chaincast.aws import boto_clients
from chaincast.aws.environment import ARCHIVE_BUCKET, LOG, STATE, require_env
from chaincast.config.function_settings import Settings
from chaincast.eventlog.archive_handler import ArchiveHandler
from chaincast.eventlog.archiver import Archiver
from chaincast.eventlog.log_store import LogReader
from chaincast.metrics.logger import make_logger
from chaincast.metrics.recorder import MetricsRecorder

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger, metrics, settings = make_logger("archive"), MetricsRecorder("archive"), Settings.from_environment()
database = boto_clients.dynamodb()
log = LogReader(database, require_env(LOG))
archiver = Archiver(database, require_env(STATE), log, boto_clients.s3(), require_env(ARCHIVE_BUCKET))
archive_handler = ArchiveHandler(archiver, settings.sources, metrics, logger)


@logger.inject_lambda_context
@metrics.flush_after
def handler(event: object, context: LambdaContext) -> dict[str, int]:
    """Archive new batches."""
    return archive_handler.handle()
