"""Jobs of the lifecycle queue: actions on a connection that are due some seconds later."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TypeAlias, Union

import orjson

from chaincast.errors import CodecError

MAX_DELAY_SECONDS = 900
"""Maximum delay of an SQS message, in seconds (SQS quotas)."""


@dataclass(frozen=True, slots=True)
class Greet:
    """Send a new connection its greeting."""

    connection_id: str
    dialect: str


@dataclass(frozen=True, slots=True)
class Replay:
    """Deliver from the event log what a connection missed of a source, then hand over to fan-out.

    `shards` and `token` identify the hold of this replay, which stores the position to continue from.
    """

    connection_id: str
    dialect: str
    source: str
    shards: int
    token: str


@dataclass(frozen=True, slots=True)
class RemoveHold:
    """Delete a hold that was released some time ago."""

    connection_id: str
    source: str
    shards: int
    token: str


class Requirement(StrEnum):
    """A condition that a connection must meet before its deadline."""

    JOINED = "joined"
    """It has joined the namespace."""
    AUTHENTICATED = "authenticated"
    """It has an authenticated user."""
    RENEWED = "renewed"
    """It has an authenticated user with a token that has not expired."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """Close a connection that does not meet a requirement by now."""

    connection_id: str
    requirement: Requirement


@dataclass(frozen=True, slots=True)
class IdentityExpiry:
    """Notify a connection that its user's token has ended, if its token is still the one that ends at `until` (s)."""

    connection_id: str
    until: int


Job: TypeAlias = Union[Greet, Replay, RemoveHold, Deadline, IdentityExpiry]

_JOBS: dict[str, type[Job]] = {
    "greet": Greet,
    "replay": Replay,
    "remove_hold": RemoveHold,
    "deadline": Deadline,
    "identity_expiry": IdentityExpiry,
}
_NAMES = {job: name for name, job in _JOBS.items()}


def encode_job(job: Job) -> str:
    """Return the queue message of a job."""
    return orjson.dumps({"job": _NAMES[type(job)], **asdict(job)}).decode()


def parse_job(body: str) -> Job:
    """Parse a queue message. Raises `CodecError` if it is not a job."""
    try:
        document = orjson.loads(body)
        name = document.pop("job")
        if name in _JOBS:
            if "requirement" in document:
                document["requirement"] = Requirement(document["requirement"])
            return _JOBS[name](**document)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CodecError(f"not a lifecycle job: {error}: {body[:100]!r}") from error
    raise CodecError(f"unknown lifecycle job {name!r}; known: {', '.join(_JOBS)}")
