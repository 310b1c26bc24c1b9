"""`chaincast.v1`: Chaincast's own protocol, JSON objects with a `type`; docs/protocol.md describes it for its users."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from chaincast.errors import RequestError, RequestId
from chaincast.model.events import Event, event_to_wire
from chaincast.protocol.commands import (
    Authenticated,
    AuthenticationExpired,
    Command,
    Connected,
    ConnectionClosing,
    History,
    Joined,
    NoReply,
    Outcome,
    Pong,
    Price,
    Stats,
    Subscribed,
    TokenSnapshot,
    Unsubscribed,
)
from chaincast.protocol.dialects.base import Chains


class ChaincastV1:
    """The codec; `chaincast.protocol.dialects.base.Dialect` describes its methods."""

    name = "chaincast.v1"
    overhead = 256
    separator = 1
    single_event_messages = requires_join = answers_pings = False

    def __init__(self, chains: Chains) -> None:
        """Ignore the chain ids: this protocol identifies networks by name."""

    def decode(self, body: bytes, max_bytes: int, max_topics: int) -> Command:
        """Return the client's command. Raises `RequestError`."""
        # Imported here, because functions that only encode must not import pydantic.
        from chaincast.protocol.dialects.chaincast_v1.messages import decode

        return decode(body, max_bytes, max_topics)

    def ping_message(self, now_ms: int) -> bytes | None:
        """Return None: clients send pings themselves."""
        return None

    def outcome_messages(self, outcome: Outcome, now_ms: int) -> tuple[bytes, ...]:
        """Return one message, or none for outcomes that no command of this protocol has."""
        match outcome:
            case Connected(connection_id, networks):
                message: dict[str, object] = {"type": "connected", "connection_id": connection_id}
                message |= {"dialect": self.name, "networks": networks}
            case Subscribed():
                message = _subscribed(outcome)
            case Unsubscribed(topics, request_id):
                message = _reply("unsubscribed", request_id) | {"topics": [str(topic) for topic in topics]}
            case Pong(timestamp, request_id):
                message = _reply("pong", request_id) | {"timestamp": timestamp}
            case History(what, events, before, request_id):
                # Events are joined as fragments, so that an event has the same bytes here as in an `events` message.
                head = orjson.dumps(_reply("history", request_id) | {"what": what, "before": before})
                fragments = b",".join(self.event_fragment(event) for event in events)
                return (b'%b,"events":[%b]}' % (head[:-1], fragments),)
            case Price(network, token, event, request_id):
                message = _reply("price", request_id) | {"network": network, "token": token}
                message["event"] = _event_or_null(event)
            case Stats(topic, values, request_id):
                message = _reply("stats", request_id) | {"network": topic.scope, topic.family: topic.key}
                message["stats"] = values
            case Authenticated(user, request_id):
                message = _reply("authenticated", request_id)
                message["user"] = None if user is None else {"id": user.id, "email": user.email}
            case AuthenticationExpired(grace_seconds):
                message = {"type": "auth_expired", "closes_in": grace_seconds}
            case RequestError():
                message = _reply("error", outcome.request_id)
                message |= {"code": outcome.code.value, "message": outcome.message, **outcome.details}
            case Joined() | ConnectionClosing() | NoReply():
                return ()
        return (orjson.dumps(message),)

    def event_fragment(self, event: Event) -> bytes:
        """Return the event as a JSON object."""
        return orjson.dumps(event_to_wire(event))

    def channel(self, event: Event) -> str:
        """Return one channel for all events."""
        return ""

    def events_message(self, source: str, cursor: str, channel: str, fragments: Sequence[bytes]) -> bytes:
        """Return an `events` message."""
        return _envelope("events", source, cursor, "events", fragments)

    def retraction_fragment(self, event_id: str) -> bytes:
        """Return the id as a JSON string."""
        return orjson.dumps(event_id)

    def retractions_message(self, source: str, cursor: str, fragments: Sequence[bytes]) -> bytes:
        """Return a `retracted` message."""
        return _envelope("retracted", source, cursor, "ids", fragments)


def _reply(type_: str, request_id: RequestId) -> dict[str, object]:
    return {"type": type_} if request_id is None else {"type": type_, "id": request_id}


def _subscribed(outcome: Subscribed) -> dict[str, object]:
    message = _reply("subscribed", outcome.request_id) | {"topics": [str(topic) for topic in outcome.topics]}
    if outcome.cursors:
        message["cursors"] = outcome.cursors
    if outcome.snapshots:
        message["now"] = {topic: _snapshot(snapshot) for topic, snapshot in outcome.snapshots.items()}
    return message


def _snapshot(snapshot: TokenSnapshot) -> dict[str, object]:
    return {"price": _event_or_null(snapshot.price), "latest_trade": _event_or_null(snapshot.latest_trade)}


def _event_or_null(event: Event | None) -> dict[str, object] | None:
    return None if event is None else event_to_wire(event)


def _envelope(type_: str, source: str, cursor: str, field: str, fragments: Sequence[bytes]) -> bytes:
    head = f'{{"type":"{type_}","source":"{source}","cursor":"{cursor}","{field}":['.encode()
    return b"%b%b]}" % (head, b",".join(fragments))
