"""Every five minutes, where auditing is on: what is new in every source's Log goes to S3."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chaincast.aws import boto_clients, environment
from chaincast.config.function_settings import Settings
from chaincast.eventlog.archiver import Archiver, Overtaken
from chaincast.eventlog.log_store import LogReader
from chaincast.metrics.logger import make_logger
from chaincast.metrics.recorder import MetricsRecorder

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = make_logger("archive")
metrics = MetricsRecorder("archive")

settings = Settings.from_environment()
archiver = Archiver(
    boto_clients.dynamodb(),
    environment.require_env(environment.STATE),
    LogReader(boto_clients.dynamodb(), environment.require_env(environment.LOG)),
    boto_clients.s3(),
    environment.require_env(environment.ARCHIVE_BUCKET),
)


@logger.inject_lambda_context
@metrics.flush_after
def handler(event: object, context: LambdaContext) -> dict[str, int]:
    """How many batches of each source went to the archive."""
    archived: dict[str, int] = {}
    for source in settings.sources:
        try:
            archived[source] = archiver.archive(source)
        except Overtaken as error:
            logger.warning("left to another", error=str(error))
    logger.info("archived", extra={"batches": archived})
    metrics.count("BatchesArchived", sum(archived.values()))
    return archived
