"""Jobs of the lifecycle queue: what is to happen to a connection a moment later."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from chaincast.errors import CodecError


@dataclass(frozen=True, slots=True)
class Greet:
    """Tell a new connection that it exists."""

    connection_id: str
    dialect: str


def encode_job(job: Greet) -> str:
    """The message that orders a job."""
    return orjson.dumps({"job": "greet", "connection": job.connection_id, "dialect": job.dialect}).decode()


def parse_job(body: str) -> Greet:
    """The job of a message. Raises `CodecError`."""
    try:
        document = orjson.loads(body)
        if document["job"] == "greet":
            return Greet(document["connection"], document["dialect"])
    except (ValueError, KeyError, TypeError) as error:
        raise CodecError(f"not a lifecycle job: {error}: {body[:100]!r}") from error
    raise CodecError(f"unknown lifecycle job {document['job']!r}; known: greet")
