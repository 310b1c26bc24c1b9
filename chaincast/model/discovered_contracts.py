"""Contracts that an adapter discovers when a factory creates them, and that the State table stores for restarts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Discovery:
    """A contract that the adapter with the name `adapter` discovered in `block`.

    `facts`: text fields that the adapter needs after a restart, as the State table stores them.
    """

    adapter: str
    address: str
    block: int
    facts: Mapping[str, str]
