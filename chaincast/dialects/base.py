"""What a dialect is: a pure codec between a wire protocol and Chaincast's commands, outcomes and events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from chaincast.commands import Command, Outcome
from chaincast.events import Event


class Dialect(Protocol):
    """Bytes in, a command out; an outcome or events in, bytes out. No state, no I/O.

    Events are encoded in two steps, so that fan-out encodes each event once per dialect and then only joins
    fragments: `event` gives the fragment, `events` the message around some of them. `overhead` is an upper
    bound, in bytes, of what a message adds around its fragments (and `separator` between two).
    """

    name: str
    overhead: int
    separator: int

    def decode(self, body: bytes, max_bytes: int, max_topics: int) -> Command:
        """The client's command. Raises `ClientError`, and nothing else, whatever the bytes are."""
        ...

    def outcome(self, outcome: Outcome) -> bytes:
        """The answer to one command, or the greeting."""
        ...

    def event(self, event: Event) -> bytes | None:
        """An event as a fragment of a message; `None` where the protocol has no word for it."""
        ...

    def events(self, source: str, cursor: str, fragments: Sequence[bytes]) -> bytes:
        """The message that carries fragments, in order. `cursor` is what the client may resume from."""
        ...

    def retraction(self, event_id: str) -> bytes | None:
        """The id of a retracted event as a fragment; `None` where the protocol cannot take an event back."""
        ...

    def retracted(self, source: str, cursor: str, fragments: Sequence[bytes]) -> bytes:
        """The message that carries retraction fragments, newest event first."""
        ...
