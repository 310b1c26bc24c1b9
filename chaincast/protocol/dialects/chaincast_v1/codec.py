"""`chaincast.v1`: our own protocol, JSON objects with a `type`. docs/protocol.md describes it for its users."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from chaincast.errors import ClientError, RequestId
from chaincast.model.events import Event, told_of
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
    Unsubscribed,
)
from chaincast.protocol.dialects.base import Chains


class ChaincastV1:
    """The codec. See `chaincast.protocol.dialects.base.Dialect` for what each method promises."""

    name = "chaincast.v1"
    overhead = 256
    separator = 1
    single_event_messages = requires_join = answers_pings = False

    def __init__(self, chains: Chains) -> None:
        """Networks go by their names here."""

    def decode(self, body: bytes, max_bytes: int, max_topics: int) -> Command:
        from chaincast.protocol.dialects.chaincast_v1.messages import decode  # pydantic: not for those that only encode

        return decode(body, max_bytes, max_topics)

    def ping_message(self, now_ms: int) -> bytes | None:
        return None

    def outcome_messages(self, outcome: Outcome, now_ms: int) -> tuple[bytes, ...]:
        match outcome:
            case Connected(connection_id, networks):
                message: dict[str, object] = {"type": "connected", "connection_id": connection_id}
                message |= {"dialect": self.name, "networks": networks}
            case Subscribed(topics, request_id, now, _, cursors):
                message = _answer("subscribed", request_id) | {"topics": [str(t) for t in topics]}
                message |= {"cursors": cursors} if cursors else {}
                if now:
                    told = {t: {"price": n.price, "latest_trade": n.latest_trade} for t, n in now.items()}
                    message["now"] = {t: {k: e and told_of(e) for k, e in n.items()} for t, n in told.items()}
            case Unsubscribed(topics, request_id):
                message = _answer("unsubscribed", request_id) | {"topics": [str(t) for t in topics]}
            case Pong(timestamp, request_id):
                message = _answer("pong", request_id) | {"timestamp": timestamp}
            case History(what, events, before, request_id):
                # An event is the same bytes here as in `events`.
                head = orjson.dumps(_answer("history", request_id) | {"what": what, "before": before})
                return (b'%b,"events":[%b]}' % (head[:-1], b",".join(self.event_fragment(event) for event in events)),)
            case Price(network, token, event, request_id):
                message = _answer("price", request_id) | {"network": network, "token": token}
                message["event"] = event and told_of(event)
            case Stats(about, figures, request_id):
                message = _answer("stats", request_id) | {"network": about.scope, about.family: about.key}
                message["stats"] = figures
            case Authenticated(user, request_id):
                message = _answer("authenticated", request_id)
                message["user"] = user and {"id": user.id, "email": user.email}
            case AuthenticationExpired(grace_seconds):
                message = {"type": "auth_expired", "closes_in": grace_seconds}
            case ClientError():
                message = _answer("error", outcome.request_id)
                message |= {"code": outcome.code.value, "message": outcome.message, **outcome.details}
            case Joined() | ConnectionClosing() | NoReply():  # to no command of this protocol
                return ()
        return (orjson.dumps(message),)

    def event_fragment(self, event: Event) -> bytes:
        return orjson.dumps(told_of(event))

    def channel(self, event: Event) -> str:
        return ""

    def events_message(self, source: str, cursor: str, channel: str, fragments: Sequence[bytes]) -> bytes:
        return _envelope("events", source, cursor, "events", fragments)

    def retraction_fragment(self, event_id: str) -> bytes:
        return orjson.dumps(event_id)

    def retractions_message(self, source: str, cursor: str, fragments: Sequence[bytes]) -> bytes:
        return _envelope("retracted", source, cursor, "ids", fragments)


def _answer(type_: str, request_id: RequestId) -> dict[str, object]:
    return {"type": type_} if request_id is None else {"type": type_, "id": request_id}


def _envelope(type_: str, source: str, cursor: str, field: str, fragments: Sequence[bytes]) -> bytes:
    head = f'{{"type":"{type_}","source":"{source}","cursor":"{cursor}","{field}":['.encode()
    return b"%b%b]}" % (head, b",".join(fragments))
