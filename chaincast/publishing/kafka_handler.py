"""Handles batches of messages from Kafka topics (MSK or other brokers): publishes them like a backend's events.

A message that cannot be published (not JSON, or not valid for its kind) goes to the queue of rejected messages, with
the reason. After any other failure the messages from the first one of the partition on are returned to Lambda, which
delivers them again. Ids follow from topic, partition and offset, so that a repeated message has the same event ids.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import orjson
from aws_lambda_powertools import Logger

from chaincast.aws.lambda_events import KafkaBatchResponse, KafkaEvent, KafkaRecord
from chaincast.errors import Code, RequestError
from chaincast.metrics.recorder import MetricsRecorder
from chaincast.model.clock import now_ms
from chaincast.publishing.items import MAX_ITEMS
from chaincast.publishing.kafka import item_of
from chaincast.publishing.service import NamedItem, PublishResult

MAX_CHUNK_CHARACTERS = 1_000_000
"""Maximum size (base64) of messages that are published together: a DynamoDB transaction holds 4 MB, and a trade of a
user becomes two events."""
MAX_REJECTED_CHARACTERS = 700_000
"""Maximum size (base64) of a message's value in the queue of rejected messages: SQS takes 1 MiB."""


class NamedPublisher(Protocol):
    """Publishes items that have names (chaincast/publishing/service.py)."""

    def publish_named(self, named: Sequence[NamedItem], key: str | None, now_ms: int) -> PublishResult: ...


class KafkaHandler:
    """Publishes messages. `reject` sends a body to the queue of rejected messages."""

    def __init__(
        self,
        service: NamedPublisher,
        reject: Callable[[str], object],
        metrics: MetricsRecorder,
        logger: Logger,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._service = service
        self._reject = reject
        self._metrics = metrics
        self._logger = logger
        self._clock = clock

    def handle(self, event: KafkaEvent) -> KafkaBatchResponse:
        """Publish an event's messages, partition by partition. Return the first failed message of each."""
        cluster = event.get("eventSourceArn") or event.get("bootstrapServers", "")
        failures: list[KafkaRecord] = []
        published = rejected = 0
        for records in event["records"].values():
            done = 0
            for chunk in _chunks(records):
                try:
                    bad = self._publish(cluster, chunk)
                except Exception as error:  # after a failure of any kind Lambda delivers the messages again
                    left = len(records) - done
                    self._logger.exception("messages returned", extra={"messages": left, "error": str(error)})
                    failures.append(chunk[0])
                    break
                done += len(chunk)
                published += len(chunk) - bad
                rejected += bad
        self._metrics.count("EventsPublished", published)
        self._metrics.count("KafkaMessagesRejected", rejected)
        self._metrics.count("KafkaPartitionsRetried", len(failures))
        return {"batchItemFailures": [{"itemIdentifier": _identifier(record)} for record in failures]}

    def _publish(self, cluster: str, records: list[KafkaRecord]) -> int:
        """Publish the valid messages and reject the others. Return the number of rejected messages."""
        named: list[tuple[KafkaRecord, NamedItem]] = []
        bad: list[tuple[KafkaRecord, RequestError]] = []
        for record in records:
            name = f"kafka/{cluster}/{record['topic']}/{record['partition']}/{record['offset']}"
            try:
                named.append((record, (name, item_of(record["topic"], b64decode(record.get("value") or "")))))
            except RequestError as error:
                bad.append((record, error))
        if named:
            first, last = named[0][0], named[-1][0]
            key = f"kafka/{first['topic']}-{first['partition']}/{first['offset']}-{last['offset']}"[-256:]
            refusals = self._refusals([item for _, item in named], key)
            bad += [(record, refusal) for (record, _), refusal in zip(named, refusals, strict=True) if refusal]
        for record, cause in bad:
            self._reject_record(cluster, record, cause)
        return len(bad)

    def _refusals(self, named: list[NamedItem], key: str) -> list[RequestError | None]:
        """Publish items. Return the refusal of each, or None if it was accepted."""
        now = self._clock()
        try:
            result = self._service.publish_named(named, key, now)
        except RequestError:
            # The key was used for other messages at the same offsets: the topic was created again. Event ids make
            # repeats recognisable.
            result = self._service.publish_named(named, None, now)
        self._logger.info(
            "published", accepted=result.accepted, repeated=result.repeated, trace_ids=result.trace_ids[:20]
        )
        return [RequestError(Code(r["code"]), r["message"]) if "code" in r else None for r in result.results]

    def _reject_record(self, cluster: str, record: KafkaRecord, error: RequestError) -> None:
        origin = {
            "cluster": cluster,
            "topic": record["topic"],
            "partition": record["partition"],
            "offset": record["offset"],
        }
        self._logger.warning("message rejected", extra={**origin, "code": error.code.value, "error": error.message})
        value = record.get("value") or ""
        body = {
            **origin,
            "cause": {"code": error.code.value, "message": error.message},
            "value": value[:MAX_REJECTED_CHARACTERS],
            "truncated": len(value) > MAX_REJECTED_CHARACTERS,
        }
        self._reject(orjson.dumps(body).decode())


def _chunks(records: Sequence[KafkaRecord]) -> Iterator[list[KafkaRecord]]:
    """Yield records in order, in chunks that one transaction can hold."""
    chunk: list[KafkaRecord] = []
    size = 0
    for record in records:
        length = len(record.get("value") or "")
        if chunk and (len(chunk) == MAX_ITEMS or size + length > MAX_CHUNK_CHARACTERS):
            yield chunk
            chunk, size = [], 0
        chunk.append(record)
        size += length
    if chunk:
        yield chunk


def _identifier(record: KafkaRecord) -> dict[str, str | int]:
    return {"partition": f"{record['topic']}-{record['partition']}", "offset": record["offset"]}
