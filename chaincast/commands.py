"""What a client asks for and what it is told, in no protocol's words: the two sides of every dialect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias, Union

from chaincast.errors import ClientError
from chaincast.events import Event, Json
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
    named; before a position, if one is given. `alert`: of a network, the alerts of that type."""

    what: str
    topic: Topic
    limit: int
    names: tuple[str, ...] = ()
    before: str | None = None
    request_id: RequestId = None
    alert: str = ""


@dataclass(frozen=True, slots=True)
class GetPrice:
    """What a token costs now."""

    network: str
    token: str
    request_id: RequestId = None


@dataclass(frozen=True, slots=True)
class GetStats:
    """What is known of a token or of a contract; `about` is its topic (`token:…` or `contract:…`)."""

    about: Topic
    request_id: RequestId = None


Command: TypeAlias = Union[Subscribe, Unsubscribe, Ping, GetHistory, GetPrice, GetStats]


@dataclass(frozen=True, slots=True)
class Connected:
    """The greeting: the connection exists and may subscribe."""

    connection_id: str
    networks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TokenNow:
    """A token's newest price and trade, None where there is none."""

    price: Event | None
    latest_trade: Event | None


@dataclass(frozen=True, slots=True)
class Subscribed:
    """These topics are live: what is queued from now on reaches the connection. `now`: of topics about one token, how
    it stands."""

    topics: tuple[Topic, ...]
    request_id: RequestId = None
    now: Mapping[str, TokenNow] = field(default_factory=dict)


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


@dataclass(frozen=True, slots=True)
class Price:
    """A token's newest price event, None where there is none."""

    network: str
    token: str
    event: Event | None
    request_id: RequestId = None


@dataclass(frozen=True, slots=True)
class Stats:
    """What is known of a token or contract: names to numbers, as chaincast/stats.py makes them."""

    about: Topic
    figures: Mapping[str, Json]
    request_id: RequestId = None


Outcome: TypeAlias = Union[Connected, Subscribed, Unsubscribed, Pong, History, Price, Stats, ClientError]
