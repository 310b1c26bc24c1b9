"""The interface of a vocabulary: the names and fields of the events that one of the original servers emitted.

Three servers spoke Socket.IO with different events. Each has a vocabulary here.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from chaincast.errors import RequestError
from chaincast.model.events import Event, Json
from chaincast.protocol.commands import Outcome


class SocketIoEmit(NamedTuple):
    """A Socket.IO event with one argument.

    `even_with_ack`: True if it is emitted also when the client waits for an acknowledgement.
    """

    name: str
    data: Json
    even_with_ack: bool = False


class Vocabulary(Protocol):
    """Translates events, outcomes and errors to what one of the original servers emitted."""

    def event(self, event: Event) -> SocketIoEmit | None:
        """Return what reports an event; None if the vocabulary has nothing for its kind."""
        ...

    def reply(self, outcome: Outcome) -> SocketIoEmit | None:
        """Return the reply to one of the vocabulary's verbs; None if the outcome has no reply."""
        ...

    def error(self, error: RequestError) -> SocketIoEmit:
        """Return what reports that a verb failed."""
        ...
