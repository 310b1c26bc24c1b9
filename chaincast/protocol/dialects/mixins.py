"""Parts of codecs that several dialects share."""

from __future__ import annotations

from collections.abc import Sequence

from chaincast.model.events import Event


class WithoutRetractions:
    """A dialect that cannot retract events which a chain reorganisation removed."""

    def retraction_fragment(self, event_id: str) -> bytes | None:
        """Return None: there are no retractions."""
        return None

    def retractions_message(self, source: str, cursor: str, fragments: Sequence[bytes]) -> bytes:
        """Raise NotImplementedError: there are no fragments to join."""
        raise NotImplementedError("this dialect has no retractions, so it never returns fragments of them")


class SingleEventMessages(WithoutRetractions):
    """A dialect in which each fragment is a complete message."""

    overhead = separator = 0
    single_event_messages = True

    def channel(self, event: Event) -> str:
        """Return one channel for all events."""
        return ""

    def events_message(self, source: str, cursor: str, channel: str, fragments: Sequence[bytes]) -> bytes:
        """Return the only fragment."""
        return fragments[0]
