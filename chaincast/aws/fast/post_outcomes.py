"""The outcome policy of posts to connections: what a response of API Gateway means, and how posts are counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from random import uniform
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chaincast.aws.fast.service_client import Payload

MAX_ATTEMPTS = 5
"""Failed attempts at a message after which its connection is deferred."""

FULL_RETRY_SECONDS = 0.02
"""Base of the delays after responses with status 429."""

STALLED_SECONDS = 2.0
"""Seconds in which a connection responds 429 to every attempt (at least `LIMITED_ATTEMPTS`), after which it is
stalled."""

STALLED_ATTEMPTS = 2
"""Attempts after which a connection is stalled while all others have their messages, and no limit is in force."""

LIMITED_ATTEMPTS = 6
"""The same while the pace is limited, when a 429 may come from the quota. They take about 1.5 seconds. A process with
a limited pace seldom exceeds its share of the quota, so that one of several attempts succeeds if the client reads."""

RETRY_SECONDS = 0.05
MAX_RETRY_SECONDS = 1.0


_PERMANENT = (400, 413)
"""Statuses for which a retry is of no use. 403 passes: IAM responds with it until a changed policy is known everywhere,
to expired credentials, and to a clock that is wrong."""

FORBIDDEN = (401, 403)


class PostResult(Enum):
    """The meaning of a response to a post."""

    POSTED = "posted"
    GONE = "gone"
    """The connection is closed."""
    THROTTLED = "throttled"
    """The same message must be sent again: the client does not read, or the account's quota is used up."""
    FAILED = "failed"
    """The same message must be sent again, up to `MAX_ATTEMPTS` times."""
    REFUSED = "refused"
    """The message can never be delivered: it is not valid, or too large."""


def classify(status: int) -> PostResult:
    """Return the meaning of an HTTP status."""
    if status == 200:
        return PostResult.POSTED
    if status == 410:
        return PostResult.GONE
    if status == 429:
        return PostResult.THROTTLED
    return PostResult.REFUSED if status in _PERMANENT else PostResult.FAILED


def retry_seconds(failures: int, base: float = RETRY_SECONDS) -> float:
    """Return the seconds until the next attempt, with jitter. They triple with each failure."""
    seconds: float = min(base * 3.0**failures, MAX_RETRY_SECONDS)
    return seconds * uniform(0.5, 1)  # noqa: S311 - jitter, no secret


@dataclass(slots=True)
class Outcomes:
    """The results of a batch of posts."""

    posted: int = 0
    """Number of messages that API Gateway accepted."""
    gone: list[str] = field(default_factory=list)
    """Ids of connections that are closed."""
    deferred: list[str] = field(default_factory=list)
    """Ids of connections that did not receive all their messages and must be tried again later."""
    stalled: dict[str, Sequence[Payload]] = field(default_factory=dict)
    """Connections whose clients do not read, or read too slowly, with the messages that they did not all receive."""
    refused: Counter[str] = field(default_factory=Counter)
    """Number of messages that can never be delivered, by status and cause."""
    forbidden: int = 0
    """Number of responses with status 401 or 403."""
    throttled: int = 0
    """Number of responses with status 429."""
    retried: int = 0
    """Number of messages that were sent again."""
    repeated: int = 0
    """Number of retried messages that may have arrived the first time, so that a client may receive them twice."""
