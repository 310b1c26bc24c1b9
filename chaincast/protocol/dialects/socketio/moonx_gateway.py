"""The vocabulary of moonx-gateway's clients: rooms of events that backends publish (docs/dialects.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from chaincast.errors import ReplyContext, RequestError
from chaincast.model.events import Event, Kind
from chaincast.protocol.commands import Outcome, Pong, Subscribed, Unsubscribed
from chaincast.protocol.dialects.event_fields import error_fields
from chaincast.protocol.dialects.socketio.vocabulary import SocketIoEmit

_EVENT_NAMES: Final[Mapping[str, str]] = {
    Kind.PRICE: "price_update",
    Kind.ORDER_BOOK: "order_book_update",
    Kind.TRADE: "trade_notification",
    Kind.PORTFOLIO: "portfolio_update",
    Kind.ORDER: "order_update",
}
"""Kind → name of the Socket.IO event. Kinds that a team has defined itself keep their names."""


class MoonxGateway:
    """The vocabulary; `chaincast.protocol.dialects.socketio.vocabulary.Vocabulary` describes its methods."""

    def event(self, event: Event) -> SocketIoEmit | None:
        """Return a published event; None for on-chain events."""
        # Announcements reach every connection anyway: a room of them would deliver them twice.
        if event.block is not None or event.kind == Kind.SYSTEM_ALERT:
            return None
        return emit_published(event, _EVENT_NAMES.get(event.kind, event.kind))

    def reply(self, outcome: Outcome) -> SocketIoEmit | None:
        """Return the reply, which names the room or the types as the client wrote them."""
        match outcome:
            case Subscribed(_, ReplyContext("moonx-gateway/join_room", (room, *_))):
                return SocketIoEmit("room_joined", {"room": room}, even_with_ack=True)
            case Subscribed(_, ReplyContext(_, types)):
                return SocketIoEmit("subscribed", {"types": [*types]}, even_with_ack=True)
            case Unsubscribed(_, ReplyContext(_, (room, *_))):
                return SocketIoEmit("room_left", {"room": room}, even_with_ack=True)
            case Pong(timestamp):
                return SocketIoEmit("pong", {"timestamp": timestamp})
        return None

    def error(self, error: RequestError) -> SocketIoEmit:
        """Return an `error`."""
        return SocketIoEmit("error", {"message": error.message, **error_fields(error)}, even_with_ack=True)


def emit_published(event: Event, name: str) -> SocketIoEmit:
    """Return a published event: the backend's data with the event's timestamp, and its id if the data has no `id`."""
    return SocketIoEmit(name, {"id": event.id, **event.data, "timestamp": event.timestamp})
