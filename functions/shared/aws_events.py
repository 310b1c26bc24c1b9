"""The events that AWS hands to the functions: the parts of them that are read, typed.

Sources: API Gateway, "Working with WebSocket APIs" (integration request); Lambda, "Using Lambda with Amazon SQS".
"""

from __future__ import annotations

from typing import Required, TypedDict


class Identity(TypedDict):
    sourceIp: str


class WebSocketContext(TypedDict):
    connectionId: str
    eventType: str
    routeKey: str
    requestTimeEpoch: int
    identity: Identity


class WebSocketEvent(TypedDict, total=False):
    requestContext: WebSocketContext
    headers: dict[str, str] | None
    queryStringParameters: dict[str, str] | None
    body: str | None
    isBase64Encoded: bool


class WebSocketAnswer(TypedDict, total=False):
    """`body` goes to the client as a message, on routes with a route response."""

    statusCode: int
    headers: dict[str, str]
    body: str


class HttpEvent(TypedDict, total=False):
    """Of an HTTP API, payload format 2.0: Powertools reads the rest."""

    routeKey: str


class HttpAnswer(TypedDict):
    statusCode: int
    headers: dict[str, str]
    body: str


class SqsAttributes(TypedDict, total=False):
    MessageGroupId: str
    ApproximateReceiveCount: str
    SentTimestamp: str


class SqsRecord(TypedDict):
    messageId: str
    receiptHandle: str
    body: str
    attributes: SqsAttributes


class SqsEvent(TypedDict):
    Records: list[SqsRecord]


class SqsFailure(TypedDict):
    itemIdentifier: str


class SqsAnswer(TypedDict):
    """The records to be tried again; the rest is done."""

    batchItemFailures: list[SqsFailure]


class KafkaRecord(TypedDict, total=False):
    """`value` is base64. Source: Lambda, "Using Lambda with self-managed Apache Kafka"."""

    topic: Required[str]
    partition: Required[int]
    offset: Required[int]
    value: str | None


class KafkaEvent(TypedDict, total=False):
    """`records`: by topic and partition."""

    eventSourceArn: str
    bootstrapServers: str
    records: Required[dict[str, list[KafkaRecord]]]


class KafkaFailure(TypedDict):
    itemIdentifier: dict[str, str | int]


class KafkaAnswer(TypedDict):
    """The messages from which on partitions are to be tried again."""

    batchItemFailures: list[KafkaFailure]
