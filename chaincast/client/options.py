"""How a client connects, what it says of itself, and how long it waits between tries."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from random import uniform
from typing import TypeAlias

from chaincast.client.link import Refusal

Getter: TypeAlias = Callable[[], str | Awaitable[str]]


class State(StrEnum):
    """Whether events come; if not, why."""

    CONNECTING = "connecting"
    OPEN = "open"
    WAITING = "waiting"
    """For the next try to connect."""
    BEHIND = "behind"
    """Updates are read more slowly than they come: the rest is fetched when there is room again."""
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to connect, and who is told of what nobody waits for."""

    ticket: Getter | None = None
    """Gets a ticket, for every connection a fresh one (docs/security.md)."""
    token: str | Getter | None = None
    """A token, or what gets a fresh one."""
    on_state: Callable[[State], object] = lambda _: None
    on_gap: Callable[[str], object] = lambda _: None
    """Something of a source may have been missed: the connection was away for longer than events are kept."""
    on_error: Callable[[Refusal], object] = lambda _: None
    """A topic is refused later on, or a handshake."""


FIRST_PAUSE, MOST_PAUSE = 0.5, 30.0


def pause(tries: int) -> float:
    """Seconds before the n-th try (from 0) to connect again: anything up to a ceiling that doubles, so that a crowd
    that lost its connections together does not come back together. ("Exponential Backoff And Jitter", AWS
    Architecture Blog: full jitter.)"""
    return uniform(0, min(MOST_PAUSE, FIRST_PAUSE * 2.0 ** min(tries, 16)))  # noqa: S311 - jitter, no secret


async def got(what: str | Getter) -> str:
    """The ticket or token. Raises `Refusal` if what should get it fails, by whatever exception."""
    if isinstance(what, str):
        return what
    try:
        found = what()
        return await found if inspect.isawaitable(found) else found
    except Exception as error:
        raise Refusal("NO_CREDENTIALS", f"no ticket or token could be got: {error!r}") from error
