"""Jobs of the lifecycle queue: what is to happen to a connection a moment later."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TypeAlias, Union

import orjson

from chaincast.errors import CodecError

MAX_DELAY = 900
"""SQS's longest, in seconds."""


@dataclass(frozen=True, slots=True)
class Greet:
    """Tell a new connection that it exists."""

    connection_id: str
    dialect: str


@dataclass(frozen=True, slots=True)
class Replay:
    """Deliver to a connection what it missed of a source, from the Log, then let fan-out go on.

    `shards` and `token` say which hold is this replay's; from where on is kept there.
    """

    connection_id: str
    dialect: str
    source: str
    shards: int
    token: str


@dataclass(frozen=True, slots=True)
class Settle:
    """Delete a hold that was lifted a while ago."""

    connection_id: str
    source: str
    shards: int
    token: str


@dataclass(frozen=True, slots=True)
class Deadline:
    """Close a connection that has not joined (`until` = "joined"), said whose it is ("authenticated") or said it anew
    ("renewed") by then."""

    connection_id: str
    until: str


@dataclass(frozen=True, slots=True)
class Expiry:
    """Tell a connection that what proved whose it is has ended, if that is still what ends at `until` (s)."""

    connection_id: str
    until: int


Job: TypeAlias = Union[Greet, Replay, Settle, Deadline, Expiry]
_JOBS: dict[str, type[Job]] = {job.__name__.lower(): job for job in (Greet, Replay, Settle, Deadline, Expiry)}


def encode_job(job: Job) -> str:
    """The message that orders a job."""
    return orjson.dumps({"job": type(job).__name__.lower(), **asdict(job)}).decode()


def parse_job(body: str) -> Job:
    """The job of a message. Raises `CodecError`."""
    try:
        document = orjson.loads(body)
        name = document.pop("job")
        if name in _JOBS:
            return _JOBS[name](**document)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CodecError(f"not a lifecycle job: {error}: {body[:100]!r}") from error
    raise CodecError(f"unknown lifecycle job {name!r}; known: {', '.join(_JOBS)}")
