"""The lifecycle queue: the greeting, a moment after `$connect`; replay, after a resume."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING

import uvloop

from chaincast.aws import environment
from chaincast.aws.fast.pool import Pool
from chaincast.aws.fast.poster import Gateway
from chaincast.aws.fast.service_client import ServiceClient
from chaincast.aws.lambda_events import SqsBatchResponse, SqsEvent, SqsRecord
from chaincast.config.function_settings import Settings
from chaincast.errors import ClientError, Code, CodecError, Request
from chaincast.jobs.messages import MAX_DELAY, Deadline, Expiry, Greet, Job, Replay, Settle, parse_job
from chaincast.metrics.async_counter_writer import async_counter_writer
from chaincast.metrics.logger import make_logger
from chaincast.metrics.recorder import Telemetry
from chaincast.protocol.commands import AuthenticationExpired, Connected, Outcome
from chaincast.protocol.dialects import registry

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from chaincast.replay.holds import Holds
    from chaincast.sessions.connection_store import Connection, Connections

logger = make_logger("lifecycle")
settings = Settings.from_environment()
management = ServiceClient(
    Pool(environment.name_of(environment.MANAGEMENT_ENDPOINT), 32), environment.region(), "execute-api"
)
gateway = Gateway(management)
database = ServiceClient(Pool(environment.dynamodb_endpoint(), 1), environment.region(), "dynamodb")
loop = uvloop.new_event_loop()
telemetry = Telemetry("lifecycle", async_counter_writer(loop, database))

WAITS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
"""Seconds between attempts: API Gateway answers 410 until `$connect` has returned and the handshake is done."""

RESERVE_SECONDS = 12.0
AGAIN_SECONDS = 1
SETTLE_SECONDS = 120
"""After this long fan-out has surely passed what was in the queue when a hold was lifted; if not, somebody is told
something twice."""


@logger.inject_lambda_context
@telemetry.watched
def handler(event: SqsEvent, context: LambdaContext) -> SqsBatchResponse:
    management.refresh_credentials()
    database.refresh_credentials()
    seconds = context.get_remaining_time_in_millis() / 1000 - RESERVE_SECONDS
    failed = loop.run_until_complete(_run(event["Records"], seconds))
    telemetry.count("JobsHandedBack", len(failed))
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


async def _run(records: list[SqsRecord], seconds: float) -> list[str]:
    done = await asyncio.gather(*(_handle(record, seconds) for record in records))
    return [record["messageId"] for record, ok in zip(records, done, strict=True) if not ok]


async def _handle(record: SqsRecord, seconds: float) -> bool:
    try:
        return await _do(parse_job(record["body"]), seconds)
    except CodecError as error:
        logger.error("job dropped", error=str(error))
    except Exception:
        logger.exception("job failed")  # and is tried again, without those that came with it
    return False


async def _do(job: Job, seconds: float) -> bool:
    match job:
        case Greet():
            return await _greet(job)
        case Replay():
            return await _replay(job, seconds)
        case Settle():
            await asyncio.to_thread(_settle, job)
            return True
        case Deadline():
            await _enforce(job)
            return True
        case Expiry():
            await _end(job)
            return True


async def _greet(job: Greet) -> bool:
    """Whether the greeting is done with: it arrived, or there is nobody to greet."""
    greeting = Connected(job.connection_id, settings.networks, settings.message_bytes)
    payloads = registry.get(job.dialect, settings.chains).outcome_messages(greeting, int(time.time() * 1000))
    for wait in (*WAITS, None):
        outcomes = await gateway.deliver(payloads, [job.connection_id])
        if outcomes.posted or outcomes.refused:
            telemetry.count("MessagesOut", outcomes.posted, by="greeting")
            return True
        if outcomes.gone and await asyncio.to_thread(lambda: _connections().get(job.connection_id)) is None:
            return True
        if wait is not None:
            await asyncio.sleep(wait)
    logger.warning("connection not greeted yet", connection=job.connection_id)
    return False


async def _enforce(job: Deadline) -> None:
    """Close the connection, if it is there still and has not done what it had to."""
    connection = await asyncio.to_thread(lambda: _connections().get(job.connection_id))
    if connection is None or _has_done(connection, job.until):
        return
    if job.until != "joined":
        late = ClientError(Code.AUTH_FAILED, "Authentication timed out", Request("authenticate"))
        await _tell(connection, late)
    await asyncio.to_thread(_close, job.connection_id)
    telemetry.count("DeadlinesMissed")


def _has_done(connection: Connection, what: str) -> bool:
    if what == "joined":
        return connection.joined
    ended = what == "renewed" and 0 < connection.user_until <= time.time()
    return bool(connection.user) and not ended


async def _end(job: Expiry) -> None:
    """Tell the connection that its user's proof has ended, and how long it may take to show another."""
    connection = await asyncio.to_thread(lambda: _connections().get(job.connection_id))
    if connection is None or connection.user_until != job.until:
        return  # or there is another job for what it has shown since
    left = math.ceil(job.until - time.time())
    if left > 0:
        await asyncio.to_thread(_order, job, min(left, MAX_DELAY))
        return
    await _tell(connection, AuthenticationExpired(settings.auth_grace))
    await asyncio.to_thread(_order, Deadline(job.connection_id, "renewed"), settings.auth_grace)
    telemetry.count("AuthExpired")


async def _tell(connection: Connection, outcome: Outcome) -> None:
    told = registry.get(connection.dialect, settings.chains).outcome_messages(outcome, int(time.time() * 1000))
    outcomes = await gateway.deliver(told, [connection.connection_id])
    telemetry.count("MessagesOut", outcomes.posted, by="notice")


async def _replay(job: Replay, seconds: float) -> bool:
    """Whether the replay is done with, or its rest is ordered as a job of its own."""
    from chaincast.aws import boto_clients  # boto3: half a second of start-up that greetings never need
    from chaincast.eventlog.log_store import LogReader
    from chaincast.replay.replayer import Ending, Replayer
    from chaincast.sessions.open_counts import Population
    from chaincast.sessions.subscription_store import Subscriptions

    database = boto_clients.dynamodb()
    log = LogReader(database, environment.name_of(environment.LOG))
    population = Population(database, environment.name_of(environment.STATE))
    subscriptions = Subscriptions(database, environment.name_of(environment.SUBSCRIPTIONS), population)
    replayer = Replayer(job, log, _holds(), subscriptions, gateway, settings.delivery_bytes, settings.chains)
    ending = await replayer.run(seconds)
    line = {"connection": job.connection_id, "source": job.source, "at": replayer.at}
    logger.info("replayed", extra={**line, "posted": replayer.posted, "ending": ending.value})
    telemetry.count("MessagesOut", replayer.posted, by="replay")
    if ending is Ending.LIVE:
        await asyncio.to_thread(_order, Settle(job.connection_id, job.source, job.shards, job.token), SETTLE_SECONDS)
    if ending is Ending.UNFINISHED:
        await asyncio.to_thread(_order, job, AGAIN_SECONDS)
    return True


def _settle(job: Settle) -> None:
    from chaincast.replay.holds import Place  # boto3: as above

    _holds().remove(Place(job.connection_id, job.source, job.shards, job.token))


def _order(job: Job, delay: int) -> None:
    from chaincast.jobs.queue import order  # boto3: as above

    order(job, delay)


def _holds() -> Holds:
    from chaincast.aws import boto_clients  # boto3: as above
    from chaincast.replay.holds import Holds

    return Holds(boto_clients.dynamodb(), environment.name_of(environment.SUBSCRIPTIONS))


def _connections() -> Connections:
    from chaincast.aws import boto_clients  # boto3: as above
    from chaincast.sessions.connection_store import Connections

    return Connections(boto_clients.dynamodb(), environment.name_of(environment.CONNECTIONS))


def _close(connection_id: str) -> None:
    from chaincast.aws import boto_clients  # boto3: as above
    from chaincast.aws.management_api import close

    close(boto_clients.management(environment.name_of(environment.MANAGEMENT_ENDPOINT)), connection_id)
