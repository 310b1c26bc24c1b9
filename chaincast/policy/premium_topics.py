"""Topics that need a claim of the token: `[topics.premium]`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chaincast.model.topics import ANY, Topic


@dataclass(frozen=True, slots=True)
class Premium:
    """Which topics, and what must stand in a token. `topics`: a family, or a topic where `*` stands for anything;
    `values`: what the claim must be, if any are named; else anything but false or empty."""

    topics: Sequence[str] = ()
    claim: str = ""
    values: Sequence[str] = ()

    def allows(self, claims: Mapping[str, Any]) -> bool:
        """Whether somebody with these claims may have premium topics. A claim may be a list, too."""
        found = claims.get(self.claim)
        if not self.values:
            return bool(found)
        held = found if isinstance(found, list) else [found]
        return any(isinstance(value, (str, int, float)) and str(value) in self.values for value in held)

    def covers(self, topic: Topic) -> bool:
        """Whether a topic is, or carries, something premium: `trades:*:0xab` carries `trades:base:0xab`."""
        parts = str(topic).split(":")
        return any(_overlap(pattern.split(":"), parts) for pattern in self.topics)

    @property
    def needed(self) -> str:
        """What a token must say, in words."""
        return f"{self.claim!r}" + (f" = {' or '.join(map(repr, self.values))}" if self.values else "")


def _overlap(pattern: Sequence[str], parts: Sequence[str]) -> bool:
    return pattern[0] == parts[0] and all(
        wanted == part or ANY in (wanted, part) for wanted, part in zip(pattern[1:], parts[1:], strict=False)
    )
