"""The vocabulary of adstack's clients: contracts and their events. docs/dialects.md."""

from __future__ import annotations

from collections.abc import Mapping

from chaincast.errors import ClientError, Request
from chaincast.model.events import Event, Json, Kind
from chaincast.protocol.commands import History, Outcome, Stats, Subscribed, Unsubscribed
from chaincast.protocol.dialects.event_fields import error_fields
from chaincast.protocol.dialects.socketio.vocabulary import SocketIoEmit


class Adstack:
    """See `chaincast.protocol.dialects.socketio.vocabulary.Vocabulary`."""

    def event(self, event: Event) -> SocketIoEmit | None:
        return SocketIoEmit("event", _event(event)) if event.contract is not None else None

    def answer(self, outcome: Outcome) -> SocketIoEmit | None:
        match outcome:
            case Subscribed(_, Request(_, (contract, *types))):
                return SocketIoEmit("subscribed", {"contractId": contract, "eventTypes": [*types]}, True)
            case Unsubscribed(_, Request(_, (contract, *_))):
                return SocketIoEmit("unsubscribed", {"contractId": contract}, True)
            case History(_, events, _, Request(_, (contract, *_))):
                return SocketIoEmit("history", {"contractId": contract, "events": [_event(event) for event in events]})
            case Stats(_, figures, Request(_, (contract, *_))):
                return SocketIoEmit("stats", {"contractId": contract, **_figures(figures)})
        return None

    def error(self, error: ClientError) -> SocketIoEmit:
        return SocketIoEmit("error", {"message": error.message, **error_fields(error)}, True)


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


def _figures(figures: Mapping[str, Json]) -> dict[str, Json]:
    return {
        "totalEvents": figures.get("events"),
        "eventCounts": figures.get("by_type"),
        "events24h": figures.get("events_24h"),
        "eventCounts24h": figures.get("by_type_24h"),
        "firstEvent": figures.get("first"),
        "lastEvent": figures.get("last"),
        "complete": figures.get("complete"),
    }
