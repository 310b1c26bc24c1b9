"""The vocabulary of adstack's clients: contracts and their events (docs/dialects.md)."""

from __future__ import annotations

from collections.abc import Mapping

from chaincast.errors import ReplyContext, RequestError
from chaincast.model.events import Event, Json, Kind
from chaincast.protocol.commands import History, Outcome, Stats, Subscribed, Unsubscribed
from chaincast.protocol.dialects.event_fields import error_fields
from chaincast.protocol.dialects.socketio.vocabulary import SocketIoEmit


class Adstack:
    """The vocabulary; `chaincast.protocol.dialects.socketio.vocabulary.Vocabulary` describes its methods."""

    def event(self, event: Event) -> SocketIoEmit | None:
        """Return an `event` for events of contracts."""
        return SocketIoEmit("event", _event(event)) if event.contract is not None else None

    def reply(self, outcome: Outcome) -> SocketIoEmit | None:
        """Return the reply, which names the contract as the client wrote it."""
        match outcome:
            case Subscribed(_, ReplyContext(_, (contract, *types))):
                return SocketIoEmit("subscribed", {"contractId": contract, "eventTypes": [*types]}, even_with_ack=True)
            case Unsubscribed(_, ReplyContext(_, (contract, *_))):
                return SocketIoEmit("unsubscribed", {"contractId": contract}, even_with_ack=True)
            case History(_, events, _, ReplyContext(_, (contract, *_))):
                return SocketIoEmit("history", {"contractId": contract, "events": [_event(event) for event in events]})
            case Stats(_, values, ReplyContext(_, (contract, *_))):
                return SocketIoEmit("stats", {"contractId": contract, **_stats(values)})
        return None

    def error(self, error: RequestError) -> SocketIoEmit:
        """Return an `error`."""
        return SocketIoEmit("error", {"message": error.message, **error_fields(error)}, even_with_ack=True)


def _event(event: Event) -> dict[str, Json]:
    is_plain = event.kind == Kind.CONTRACT_EVENT
    return {
        "id": event.id,
        "type": event.data.get("event") if is_plain else event.kind,
        "contractId": event.contract,
        "txId": event.tx_hash,
        "blockHeight": event.block,
        "timestamp": event.timestamp,
        "data": event.data.get("args") if is_plain else dict(event.data),
    }


def _stats(values: Mapping[str, Json]) -> dict[str, Json]:
    return {
        "totalEvents": values.get("events"),
        "eventCounts": values.get("by_type"),
        "events24h": values.get("events_24h"),
        "eventCounts24h": values.get("by_type_24h"),
        "firstEvent": values.get("first"),
        "lastEvent": values.get("last"),
        "complete": values.get("complete"),
    }
