"""Between the socket and who reads a subscription: what waits to be read. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from chaincast.model.events import Event


@dataclass(frozen=True, slots=True)
class Update:
    """An event that happened; or, `retracted`, one that a reorganisation of its chain took back.

    `cursor` is that of the message within `source` that brought it. Every update of a subscription is told once.
    """

    event: Event
    retracted: bool
    source: str
    cursor: str


class Inbox:
    """Updates in their order. Of prices and order books that wait, of one token or symbol only the newest does; what is
    taken back while it waits is not told at all."""

    def __init__(self) -> None:
        self._waiting: dict[str, Update] = {}
        self._newest: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, update: Update) -> None:
        """An event happened."""
        event = update.event
        waiting = self._waiting.get(event.id)
        if waiting is not None and waiting.retracted:
            del self._waiting[event.id]  # taken back and told again: whoever has it keeps it
            return
        if event.conflation_key is not None:
            stale = self._waiting.get(self._newest.get(event.conflation_key, ""))
            if stale is not None and not stale.retracted:
                del self._waiting[stale.event.id]
            self._newest[event.conflation_key] = event.id
        self._waiting[event.id] = update

    def retract(self, update: Update) -> None:
        """An event was taken back."""
        if self._waiting.pop(update.event.id, None) is None:
            self._waiting[update.event.id] = replace(update, retracted=True)

    def take(self) -> Update:
        """The oldest, which waits no more. Raises `KeyError` if there is none."""
        if not self._waiting:
            raise KeyError("nothing waits")
        update = self._waiting.pop(next(iter(self._waiting)))
        if not self._waiting:
            self._newest.clear()
        return update
