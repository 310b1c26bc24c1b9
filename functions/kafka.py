"""Kafka topics (MSK or brokers of one's own): their messages are published like any backend's.

What cannot be published, as it is not JSON or not what its kind wants, goes to a queue of poisoned messages with the
cause, and is done with. What fails for another reason is handed back, from the first of its partition on, and comes
again. Ids follow from topic, partition and offset: a message that comes again is told with the same id.
"""

from __future__ import annotations

import time
from base64 import b64decode
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

import orjson

from chaincast.aws import boto_clients, environment
from chaincast.aws.lambda_events import KafkaBatchResponse, KafkaEvent, KafkaRecord
from chaincast.config.function_settings import Settings
from chaincast.errors import ClientError, Code
from chaincast.metrics.logger import make_logger
from chaincast.metrics.recorder import MetricsRecorder
from chaincast.publishing.items import MAX_ITEMS
from chaincast.publishing.kafka import item_of
from chaincast.publishing.service import make_intake

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = make_logger("kafka")
metrics = MetricsRecorder("kafka")

intake = make_intake(Settings.from_environment())

Named: TypeAlias = tuple[str, object]

MAX_CHUNK = 1_000_000
"""Characters (base64) of messages that are published at once, as `POST /publish` takes bytes: a DynamoDB transaction
holds 4 MB, and a trade of a user is told twice."""


@logger.inject_lambda_context
@metrics.flush_after
def handler(event: KafkaEvent, context: LambdaContext) -> KafkaBatchResponse:
    cluster = event.get("eventSourceArn") or event.get("bootstrapServers", "")
    failures: list[KafkaRecord] = []
    published = poisoned = 0
    for records in event["records"].values():
        done = 0
        for chunk in _chunks(records):
            try:
                bad = _publish(cluster, chunk)
            except Exception as error:  # whatever it is, the messages come again
                logger.exception("messages handed back", extra={"messages": len(records) - done, "error": str(error)})
                failures.append(chunk[0])
                break
            done += len(chunk)
            published += len(chunk) - bad
            poisoned += bad
    metrics.count("EventsPublished", published)
    metrics.count("KafkaMessagesRejected", poisoned)
    metrics.count("KafkaPartitionsRetried", len(failures))
    return {"batchItemFailures": [{"itemIdentifier": _identifier(record)} for record in failures]}


def _chunks(records: Sequence[KafkaRecord]) -> Iterator[list[KafkaRecord]]:
    """Records in their order, as many at once as one transaction holds, however they are told."""
    chunk: list[KafkaRecord] = []
    size = 0
    for record in records:
        length = len(record.get("value") or "")
        if chunk and (len(chunk) == MAX_ITEMS or size + length > MAX_CHUNK):
            yield chunk
            chunk, size = [], 0
        chunk.append(record)
        size += length
    if chunk:
        yield chunk


def _publish(cluster: str, records: list[KafkaRecord]) -> int:
    """Publish what can be published; how many messages cannot. Raises whatever went wrong otherwise."""
    named: list[tuple[KafkaRecord, Named]] = []
    bad: list[tuple[KafkaRecord, ClientError]] = []
    for record in records:
        name = f"kafka/{cluster}/{record['topic']}/{record['partition']}/{record['offset']}"
        try:
            named.append((record, (name, item_of(record["topic"], b64decode(record.get("value") or "")))))
        except ClientError as error:
            bad.append((record, error))
    if named:
        first, last = named[0][0], named[-1][0]
        key = f"kafka/{first['topic']}-{first['partition']}/{first['offset']}-{last['offset']}"[-256:]
        answer = _take([item for _, item in named], key)
        for (record, _), result in zip(named, answer, strict=True):
            if isinstance(result, ClientError):
                bad.append((record, result))
    for record, cause in bad:
        _poison(cluster, record, cause)
    return len(bad)


def _take(named: list[Named], key: str) -> list[ClientError | None]:
    """What is wrong with each item, if anything."""
    now = int(time.time() * 1000)
    try:
        answer = intake.take(named, key, now)
    except ClientError:
        # The same offsets with other messages: the topic was made anew. Ids tell repeats.
        answer = intake.take(named, None, now)
    logger.info("published", accepted=answer.accepted, repeated=answer.repeated, trace_ids=answer.trace_ids[:20])
    return [ClientError(Code(r["code"]), r["message"]) if "code" in r else None for r in answer.results]


def _poison(cluster: str, record: KafkaRecord, error: ClientError) -> None:
    place = {"cluster": cluster, "topic": record["topic"], "partition": record["partition"], "offset": record["offset"]}
    logger.warning("message poisoned", extra={**place, "code": error.code.value, "error": error.message})
    value = record.get("value") or ""
    cause = {"code": error.code.value, "message": error.message}
    body = orjson.dumps({**place, "cause": cause, "value": value[:700_000], "truncated": len(value) > 700_000})
    boto_clients.sqs().send_message(
        QueueUrl=environment.require_env(environment.REJECTED_QUEUE), MessageBody=body.decode()
    )


def _identifier(record: KafkaRecord) -> dict[str, str | int]:
    return {"partition": f"{record['topic']}-{record['partition']}", "offset": record["offset"]}
