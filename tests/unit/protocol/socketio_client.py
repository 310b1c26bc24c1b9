"""The client's side of the Socket.IO dialect: emit events and parse the replies."""

from __future__ import annotations

import json
from typing import Any, TypeAlias

from chaincast.model.events import Event
from chaincast.protocol.commands import Command, Outcome
from chaincast.protocol.dialects import registry
from tests.unit.protocol.sample_events import CHAINS

Message: TypeAlias = dict[str, Any]  # parsed JSON
SOCKETIO = registry.get("socketio", CHAINS)


def decode(frame: str) -> Command:
    return SOCKETIO.decode(frame.encode(), 10_000, 5)


def emit(name: str, argument: object = None, ack: int | None = None) -> Command:
    arguments = [name] if argument is None else [name, argument]
    return decode(f"42{'' if ack is None else ack}{json.dumps(arguments)}")


def replies(outcome: Outcome) -> list[Any]:
    """Return the events of a reply as [name, data] and its acknowledgements as [number, data]."""
    parsed = []
    for frame in SOCKETIO.outcome_messages(outcome, 17):
        text = frame.decode()
        if text.startswith("42"):
            parsed.append(json.loads(text[2:]))
        else:
            number, _, rest = text[2:].partition("[")
            assert text.startswith("43")
            parsed.append([int(number), *json.loads("[" + rest)])
    return parsed


def encoded(event: Event, vocabulary: str) -> tuple[str, Message]:
    frame = registry.get(f"socketio/{vocabulary}", CHAINS).event_fragment(event)
    assert frame is not None
    assert frame.startswith(b"42")
    name, data = json.loads(frame[2:])
    return name, data
