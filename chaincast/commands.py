"""What a client asks for and what it is told, in no protocol's words: the two sides of every dialect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias, Union

from chaincast.errors import ClientError
from chaincast.events import Event
from chaincast.topics import Topic

RequestId: TypeAlias = Union[str, int, None]
"""The `id` that a client gave its message, for the answer to carry."""


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Listen to `topics`, to events of some `kinds` only if any are named; with `since` (a cursor per source) also to
    what came after those."""

    topics: tuple[Topic, ...]
    kinds: tuple[str, ...] = ()
    since: Mapping[str, str] | None = None
    request_id: RequestId = None


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Stop listening to `topics`."""

    topics: tuple[Topic, ...]
    request_id: RequestId = None


@dataclass(frozen=True, slots=True)
class Ping:
    """Is anybody there?"""

    request_id: RequestId = None


@dataclass(frozen=True, slots=True)
class GetHistory:
    """The newest `limit` events under a topic that has a history; of those called `names` only, if any are
    named; before a position, if one is given."""

    what: str
    topic: Topic
    limit: int
    names: tuple[str, ...] = ()
    before: str | None = None
    request_id: RequestId = None


Command: TypeAlias = Union[Subscribe, Unsubscribe, Ping, GetHistory]


@dataclass(frozen=True, slots=True)
class Connected:
    """The greeting: the connection exists and may subscribe."""

    connection_id: str
    networks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Subscribed:
    """These topics are live: what is queued from now on reaches the connection."""

    topics: tuple[Topic, ...]
    request_id: RequestId = None


@dataclass(frozen=True, slots=True)
class Unsubscribed:
    topics: tuple[Topic, ...]
    request_id: RequestId = None


@dataclass(frozen=True, slots=True)
class Pong:
    """`timestamp` is the server's clock in ms."""

    timestamp: int
    request_id: RequestId = None


@dataclass(frozen=True, slots=True)
class History:
    """Events, newest first; `before` is where to go on, None at the end."""

    what: str
    events: tuple[Event, ...]
    before: str | None
    request_id: RequestId = None


Outcome: TypeAlias = Union[Connected, Subscribed, Unsubscribed, Pong, History, ClientError]
