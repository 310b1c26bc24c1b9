"""The vocabulary of moonx-gateway's clients: rooms of what backends publish. docs/dialects.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from chaincast.errors import ClientError, Request
from chaincast.model.events import Event, Kind
from chaincast.protocol.commands import Outcome, Pong, Subscribed, Unsubscribed
from chaincast.protocol.dialects.event_fields import error_fields
from chaincast.protocol.dialects.socketio.vocabulary import SocketIoEmit

_NAMES: Final[Mapping[str, str]] = {
    Kind.PRICE: "price_update",
    Kind.ORDER_BOOK: "order_book_update",
    Kind.TRADE: "trade_notification",
    Kind.PORTFOLIO: "portfolio_update",
    Kind.ORDER: "order_update",
}
"""Kind → event. A team's own kinds are called what they are."""


class MoonxGateway:
    """See `chaincast.protocol.dialects.socketio.vocabulary.Vocabulary`."""

    def event(self, event: Event) -> SocketIoEmit | None:
        # Announcements reach every connection as it is: a room of them would tell them twice.
        if event.block is not None or event.kind == Kind.SYSTEM_ALERT:
            return None
        return published(event, _NAMES.get(event.kind, event.kind))

    def answer(self, outcome: Outcome) -> SocketIoEmit | None:
        match outcome:
            case Subscribed(_, Request("moonx-gateway/join_room", (room, *_))):
                return SocketIoEmit("room_joined", {"room": room}, True)
            case Subscribed(_, Request(_, types)):
                return SocketIoEmit("subscribed", {"types": [*types]}, True)
            case Unsubscribed(_, Request(_, (room, *_))):
                return SocketIoEmit("room_left", {"room": room}, True)
            case Pong(timestamp):
                return SocketIoEmit("pong", {"timestamp": timestamp})
        return None

    def error(self, error: ClientError) -> SocketIoEmit:
        return SocketIoEmit("error", {"message": error.message, **error_fields(error)}, True)


def published(event: Event, name: str) -> SocketIoEmit:
    """What a backend published, as it put it, when that was, and the event's id (the data's own `id` goes first)."""
    return SocketIoEmit(name, {"id": event.id, **event.data, "timestamp": event.timestamp})
