"""Options of a client, its states, and delays between attempts to connect."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from random import uniform
from typing import TypeAlias

from chaincast.client.socket import Refusal

Getter: TypeAlias = Callable[[], str | Awaitable[str]]


class State(StrEnum):
    """State of a client: `open`, or the reason why no events arrive."""

    CONNECTING = "connecting"
    OPEN = "open"
    WAITING = "waiting"
    """Until the next attempt to connect."""
    BEHIND = "behind"
    """Updates are read too slowly. Missed events are fetched when there is room again."""
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to connect, and callbacks for events outside of any call."""

    ticket: Getter | None = None
    """Returns a new ticket; called for every connection (docs/security.md)."""
    token: str | Getter | None = None
    """A token, or a function that returns a new one."""
    on_state: Callable[[State], object] = lambda _: None
    on_gap: Callable[[str], object] = lambda _: None
    """Called with a source whose events may be missing: the client was offline for longer than events are kept."""
    on_error: Callable[[Refusal], object] = lambda _: None
    """Called with errors outside of any call: a topic or handshake that was refused later."""


FIRST_PAUSE, MAX_PAUSE = 0.5, 30.0


def pause(tries: int) -> float:
    """Return the seconds to wait before the n-th attempt (from 0) to connect.

    The delay is random up to a ceiling that doubles, so that clients that lost their connections together do not
    reconnect together. Source: "Exponential Backoff And Jitter", AWS Architecture Blog (full jitter).
    """
    return uniform(0, min(MAX_PAUSE, FIRST_PAUSE * 2.0 ** min(tries, 16)))  # noqa: S311 - jitter, no secret


async def resolve_credential(what: str | Getter) -> str:
    """Return the ticket or token. Raise `Refusal` if the function fails, with any exception."""
    if isinstance(what, str):
        return what
    try:
        found = what()
        return await found if inspect.isawaitable(found) else found
    except Exception as error:
        raise Refusal("NO_CREDENTIALS", f"no ticket or token could be resolve_credential: {error!r}") from error
