"""What a dialect is: a pure codec between a wire protocol and Chaincast's commands, outcomes and events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeAlias

from chaincast.model.events import Event
from chaincast.protocol.commands import Command, Outcome

Chains: TypeAlias = Mapping[str, int]
"""Networks and their chain ids (EIP-155), for protocols that name chains by number."""


class Dialect(Protocol):
    """Bytes in, a command out; an outcome or events in, bytes out. No state, no I/O.

    Events are encoded in two steps, so that fan-out encodes each event once per dialect and then only joins
    fragments: `event` gives the fragment, `events` the message around some of them, all of one `channel`. `overhead`
    is an upper bound, in bytes, of what a message adds around its fragments (and `separator` between two).
    """

    name: str
    overhead: int
    separator: int
    single_event_messages: bool
    """Whether a message carries one event only."""
    requires_join: bool
    """Whether a client must join (`Join`) before anything else."""
    answers_pings: bool
    """Whether its clients answer a server's ping: those that stop are gone."""

    def decode(self, body: bytes, max_bytes: int, max_topics: int) -> Command:
        """The client's command. Raises `ClientError`, and nothing else, whatever the bytes are."""
        ...

    def outcome_messages(self, outcome: Outcome, now_ms: int) -> tuple[bytes, ...]:
        """The answer to one command, or the greeting, in as many messages as the protocol wants; `now_ms` is the
        server's clock."""
        ...

    def ping_message(self, now_ms: int) -> bytes | None:
        """What keeps an idle connection open; `None` where that is the client's task."""
        ...

    def event_fragment(self, event: Event) -> bytes | None:
        """An event as a fragment of a message; `None` where the protocol has no word for it."""
        ...

    def channel(self, event: Event) -> str:
        """Which events may share a message with this one: those of the same channel."""
        ...

    def events_message(self, source: str, cursor: str, channel: str, fragments: Sequence[bytes]) -> bytes:
        """The message that carries a channel's fragments, in order. `cursor` is what the client may resume from."""
        ...

    def retraction_fragment(self, event_id: str) -> bytes | None:
        """The id of a retracted event as a fragment; `None` where the protocol cannot take an event back."""
        ...

    def retractions_message(self, source: str, cursor: str, fragments: Sequence[bytes]) -> bytes:
        """The message that carries retraction fragments, newest event first."""
        ...
