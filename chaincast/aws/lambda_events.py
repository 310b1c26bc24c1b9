"""Types of the events that AWS invokes the functions with, and of the responses that it expects.

They contain only the fields that this project reads or writes. Sources: API Gateway Developer Guide, "Working with
WebSocket APIs" and "AWS Lambda proxy integrations for HTTP APIs"; Lambda Developer Guide, "Using Lambda with Amazon
SQS" and "Using Lambda with self-managed Apache Kafka".
"""

from __future__ import annotations

from typing import Required, TypedDict


class Identity(TypedDict):
    """The client of a WebSocket as API Gateway sees it."""

    sourceIp: str


class WebSocketContext(TypedDict):
    """The request context of a WebSocket event. `requestTimeEpoch` is in milliseconds."""

    connectionId: str
    eventType: str
    routeKey: str
    requestTimeEpoch: int
    identity: Identity


class WebSocketEvent(TypedDict, total=False):
    """A handshake, a message or a disconnect of a WebSocket."""

    requestContext: WebSocketContext
    headers: dict[str, str] | None
    queryStringParameters: dict[str, str] | None
    body: str | None
    isBase64Encoded: bool


class WebSocketResponse(TypedDict, total=False):
    """The response to a WebSocket event. On routes with a route response, `body` is sent to the client as a message."""

    statusCode: int
    headers: dict[str, str]
    body: str


class HttpEvent(TypedDict, total=False):
    """A request to an HTTP API, in payload format 2.0. Powertools reads the remaining fields."""

    routeKey: str


class HttpResponse(TypedDict):
    """The response to a request to an HTTP API."""

    statusCode: int
    headers: dict[str, str]
    body: str


class SqsAttributes(TypedDict, total=False):
    """Attributes that SQS adds to a message. `SentTimestamp` is in milliseconds."""

    MessageGroupId: str
    ApproximateReceiveCount: str
    SentTimestamp: str


class SqsRecord(TypedDict):
    """A message from an SQS queue."""

    messageId: str
    receiptHandle: str
    body: str
    attributes: SqsAttributes


class SqsEvent(TypedDict):
    """A batch of messages from an SQS queue."""

    Records: list[SqsRecord]


class SqsFailure(TypedDict):
    """The id of a message that failed."""

    itemIdentifier: str


class SqsBatchResponse(TypedDict):
    """The messages that SQS delivers again. It deletes all others of the batch."""

    batchItemFailures: list[SqsFailure]


class KafkaRecord(TypedDict, total=False):
    """A message from a Kafka partition. `value` is base64."""

    topic: Required[str]
    partition: Required[int]
    offset: Required[int]
    value: str | None


class KafkaEvent(TypedDict, total=False):
    """A batch of messages from Kafka. The keys of `records` are `topic-partition`."""

    eventSourceArn: str
    bootstrapServers: str
    records: Required[dict[str, list[KafkaRecord]]]


class KafkaFailure(TypedDict):
    """The partition and offset of a message that failed."""

    itemIdentifier: dict[str, str | int]


class KafkaBatchResponse(TypedDict):
    """The first message of each partition that Lambda delivers again, with all messages after it."""

    batchItemFailures: list[KafkaFailure]
