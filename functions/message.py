"""`subscribe`, `unsubscribe`, `ping`, `get`, `$default`: a client's message, decoded by its dialect, done, answered."""

from __future__ import annotations

import time
from base64 import b64decode
from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger, Metrics

from chaincast import dialects
from chaincast.act import Actor
from chaincast.aws import clients, resources
from chaincast.aws.checkpoint import newest
from chaincast.aws.connections import Connection, Connections
from chaincast.aws.history import HistoryReader
from chaincast.aws.holds import Holds
from chaincast.aws.log import LogReader
from chaincast.aws.resume import Resumption
from chaincast.aws.subscriptions import Subscriptions
from chaincast.commands import Outcome
from chaincast.dialects import chaincast_v1_messages as _  # noqa: F401 - import now, in the start-up AWS gives full CPU
from chaincast.dialects.base import Dialect
from chaincast.errors import ClientError, Code
from chaincast.settings import Settings
from functions.events import WebSocketAnswer, WebSocketEvent

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger(service="message")
metrics = Metrics(namespace="Chaincast", service="message")

settings = Settings.from_environment()
connections = Connections(clients.dynamodb(), resources.name_of(resources.CONNECTIONS))
database, subscriptions_table = clients.dynamodb(), resources.name_of(resources.SUBSCRIPTIONS)
subscriptions = Subscriptions(database, subscriptions_table, settings.shards)
resumption = Resumption(
    LogReader(database, resources.name_of(resources.LOG)),
    lambda network: newest(database, resources.name_of(resources.STATE), network),
    Holds(database, subscriptions_table),
    clients.sqs,
    resources.name_of(resources.LIFECYCLE_QUEUE),
    settings.shards,
)
past = HistoryReader(database, resources.name_of(resources.HISTORY))
actor = Actor(subscriptions, resumption, past, settings)


@logger.inject_lambda_context(correlation_id_path="requestContext.connectionId")
@metrics.log_metrics
def handler(event: WebSocketEvent, context: LambdaContext) -> WebSocketAnswer:
    dialect = dialects.get(dialects.DEFAULT)
    try:
        now = int(time.time() * 1000)
        connection_id = event["requestContext"]["connectionId"]
        connection = connections.touch(connection_id, now)
        if connection is None:
            raise ClientError(Code.NOT_CONNECTED, "this connection is not on record (any more): connect again")
        dialect = dialects.get(connection.dialect)
        outcome = _outcome(dialect, connection, event, now)
    except ClientError as error:
        outcome = error
    except Exception:
        logger.exception("message failed")
        outcome = ClientError(Code.INTERNAL, "the message could not be handled; try again")
    metrics.add_metric(name="Messages", unit="Count", value=1)
    if isinstance(outcome, ClientError):
        metrics.add_metric(name="Errors", unit="Count", value=1)
        metrics.add_metadata("code", outcome.code.value)
    return {"statusCode": 200, "body": dialect.outcome(outcome).decode()}


def _outcome(dialect: Dialect, connection: Connection, event: WebSocketEvent, now: int) -> Outcome:
    command = dialect.decode(_body(event), settings.message_bytes, settings.topics_per_message)
    return actor.act(command, connection.connection_id, dialect.name, now, connection.user)


def _body(event: WebSocketEvent) -> bytes:
    body = event.get("body") or ""
    if event.get("isBase64Encoded"):
        return b64decode(body)
    # A lone surrogate cannot be UTF-8; passed through, the dialect's check of the bytes says so.
    return body.encode("utf-8", "surrogatepass")
