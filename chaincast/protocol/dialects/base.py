"""The interface of a dialect: a pure codec between a wire protocol and commands, outcomes and events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeAlias

from chaincast.model.events import Event
from chaincast.protocol.commands import Command, Outcome

Chains: TypeAlias = Mapping[str, int]
"""Network → chain id (EIP-155), for protocols that identify chains by number."""


class Dialect(Protocol):
    """Decodes a client's bytes to a command, and encodes outcomes and events to bytes. No state, no I/O.

    Events are encoded in two steps, so that fan-out encodes each event once per dialect and then only joins fragments:
    `event_fragment` encodes one event, `events_message` the message around several fragments of the same `channel`.
    """

    name: str
    overhead: int
    """Maximum bytes that a message adds around its fragments."""
    separator: int
    """Bytes between two fragments."""
    single_event_messages: bool
    """True if each message carries one event only."""
    requires_join: bool
    """True if a client must send `Join` before any other command."""
    answers_pings: bool
    """True if clients reply to a server's ping; a client that stops replying is considered disconnected."""

    def decode(self, body: bytes, max_bytes: int, max_topics: int) -> Command:
        """Return the client's command. Raises `RequestError` for invalid bytes, and nothing else."""
        ...

    def outcome_messages(self, outcome: Outcome, now_ms: int) -> tuple[bytes, ...]:
        """Return the messages that report an outcome, in the order of sending; `now_ms` is the server's clock."""
        ...

    def ping_message(self, now_ms: int) -> bytes | None:
        """Return a message that keeps an idle connection open; None if that is the client's task."""
        ...

    def event_fragment(self, event: Event) -> bytes | None:
        """Return an event as a fragment of a message; None if the protocol has no message for this kind."""
        ...

    def channel(self, event: Event) -> str:
        """Return the event's channel; only events of the same channel may share a message."""
        ...

    def events_message(self, source: str, cursor: str, channel: str, fragments: Sequence[bytes]) -> bytes:
        """Return the message that carries a channel's fragments, in order; `cursor` is where a client may resume."""
        ...

    def retraction_fragment(self, event_id: str) -> bytes | None:
        """Return the id of a retracted event as a fragment; None if the protocol has no retractions."""
        ...

    def retractions_message(self, source: str, cursor: str, fragments: Sequence[bytes]) -> bytes:
        """Return the message that carries retraction fragments, newest event first."""
        ...
