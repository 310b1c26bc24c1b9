"""Premium topics, which need a claim of the client's token: `[topics.premium]`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chaincast.model.topics import ANY, Topic


@dataclass(frozen=True, slots=True)
class Premium:
    """The rule for premium topics.

    `topics`: families, or topics in which `*` stands for any part. `claim`: name of the claim that a token needs.
    `values`: accepted values of the claim; without values, any value except false and empty ones is accepted.
    """

    topics: Sequence[str] = ()
    claim: str = ""
    values: Sequence[str] = ()

    def allows(self, claims: Mapping[str, Any]) -> bool:
        """Return True if a user with these claims may subscribe to premium topics. A claim may be a list of values."""
        found = claims.get(self.claim)
        if not self.values:
            return bool(found)
        held = found if isinstance(found, list) else [found]
        return any(isinstance(value, (str, int, float)) and str(value) in self.values for value in held)

    def covers(self, topic: Topic) -> bool:
        """Return True if a topic includes a premium topic, as `trades:*:0xab` includes `trades:base:0xab`."""
        parts = str(topic).split(":")
        return any(_overlap(pattern.split(":"), parts) for pattern in self.topics)

    @property
    def needed(self) -> str:
        """Return the claim that a token needs, for errors."""
        return f"{self.claim!r}" + (f" = {' or '.join(map(repr, self.values))}" if self.values else "")


def _overlap(pattern: Sequence[str], parts: Sequence[str]) -> bool:
    return pattern[0] == parts[0] and all(
        wanted == part or ANY in (wanted, part) for wanted, part in zip(pattern[1:], parts[1:], strict=False)
    )
