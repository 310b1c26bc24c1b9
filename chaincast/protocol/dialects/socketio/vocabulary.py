"""What the servers that spoke Socket.IO before differ in: their words. One vocabulary each."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from chaincast.errors import ClientError
from chaincast.model.events import Event, Json
from chaincast.protocol.commands import Outcome


class SocketIoEmit(NamedTuple):
    """A Socket.IO event with one argument. `always`: also where the client is answered by an acknowledgement."""

    name: str
    data: Json
    always: bool = False


class Vocabulary(Protocol):
    """Which event says what."""

    def event(self, event: Event) -> SocketIoEmit | None:
        """An event in these words; None where they have none for it."""
        ...

    def answer(self, outcome: Outcome) -> SocketIoEmit | None:
        """What is answered to one of its verbs."""
        ...

    def error(self, error: ClientError) -> SocketIoEmit:
        """That one of its verbs could not be obeyed."""
        ...
