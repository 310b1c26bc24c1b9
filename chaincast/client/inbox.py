"""Queue of a subscription's unread updates. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from chaincast.model.events import Event


@dataclass(frozen=True, slots=True)
class Update:
    """A new event or, if `retracted`, one that a reorganisation of its chain undid.

    `cursor` is that of the message within `source` that brought it. A subscription delivers every update once.
    """

    event: Event
    retracted: bool
    source: str
    cursor: str


class Inbox:
    """Unread updates in order.

    Only the newest of the unread prices and order books of one token or symbol is kept. An event that is retracted
    while it is unread is removed.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, Update] = {}
        self._newest: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, update: Update) -> None:
        """Add a new event."""
        event = update.event
        waiting = self._waiting.get(event.id)
        if waiting is not None and waiting.retracted:
            del self._waiting[event.id]  # retracted and sent again before it was read
            return
        if event.conflation_key is not None:
            stale = self._waiting.get(self._newest.get(event.conflation_key, ""))
            if stale is not None and not stale.retracted:
                del self._waiting[stale.event.id]
            self._newest[event.conflation_key] = event.id
        self._waiting[event.id] = update

    def retract(self, update: Update) -> None:
        """Add the retraction of an event."""
        if self._waiting.pop(update.event.id, None) is None:
            self._waiting[update.event.id] = replace(update, retracted=True)

    def take(self) -> Update:
        """Remove and return the oldest update. Raise `KeyError` if there is none."""
        if not self._waiting:
            raise KeyError("nothing waits")
        update = self._waiting.pop(next(iter(self._waiting)))
        if not self._waiting:
            self._newest.clear()
        return update
