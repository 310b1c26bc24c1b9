"""Contracts that are found as they are created: what their adapter must know of them in its next life."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Discovery:
    """A contract that an adapter found: in which block, and what of it (text, as State keeps it).

    `adapter` is the name of who found it and wants it back after a restart.
    """

    adapter: str
    address: str
    block: int
    facts: Mapping[str, str]
