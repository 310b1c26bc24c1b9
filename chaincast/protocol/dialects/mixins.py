"""What protocols have in common that cannot take an event back; and those whose messages carry one event each."""

from __future__ import annotations

from collections.abc import Sequence

from chaincast.model.events import Event


class WithoutRetractions:
    """A dialect that has no word for what a reorganisation undid."""

    def retraction_fragment(self, event_id: str) -> bytes | None:
        return None

    def retractions_message(self, source: str, cursor: str, fragments: Sequence[bytes]) -> bytes:
        raise NotImplementedError("this protocol cannot take events back: there are no fragments of it")


class SingleEventMessages(WithoutRetractions):
    """A dialect whose fragments are whole messages."""

    overhead = separator = 0
    single_event_messages = True

    def channel(self, event: Event) -> str:
        return ""

    def events_message(self, source: str, cursor: str, channel: str, fragments: Sequence[bytes]) -> bytes:
        return fragments[0]
