"""`[topics]`: premium topics, which need a claim of the client's token."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

from pydantic import AfterValidator, Field, model_validator

from chaincast.config.section import Section
from chaincast.model.topics import FAMILIES

_ALSO_FILED_UNDER: Final = {
    "tokens": ("token", "network"),
    "trades": ("token", "network"),
    "prices": ("token", "network"),
    "alerts": ("token", "network"),
    "contract": ("network",),
    "token": ("network",),
}
"""Family of an on-chain event's topic → families of its other topics, whose subscribers also receive the event."""


def _pattern(value: str) -> str:
    family, *parts = value.split(":")
    known = [name for name, f in FAMILIES.items() if not f.private and f.scope]
    if family not in known or len(parts) > 1 + bool(FAMILIES[family].key) or not all(parts):
        raise ValueError(
            f"not a premium topic: write family[:scope[:key]], where each part may be '*'; families: {', '.join(known)}"
        )
    return value if not FAMILIES[family].folds_case else value.lower()


Pattern: TypeAlias = Annotated[str, AfterValidator(_pattern)]


class Premium(Section):
    """Topics that only users with a certain claim in their token may subscribe to."""

    topics: tuple[Pattern, ...] = Field(
        (), description="premium topics: families (`alerts`), or topics in which `*` stands for any part (`price:BTC`)"
    )
    claim: str = Field("premium", description="name of the claim that a token needs for them", min_length=1)
    values: tuple[str, ...] = Field(
        (), description="accepted values of the claim; empty: any value except false and empty ones"
    )

    @model_validator(mode="after")
    def _check(self) -> Premium:
        named = {pattern.partition(":")[0] for pattern in self.topics}
        for family in sorted(named):
            for other in _ALSO_FILED_UNDER.get(family, ()):
                if other not in named:
                    raise ValueError(f"topics: {other!r} also delivers the events of {family!r}: list both")
        return self


class Topics(Section):
    """Rules for topics."""

    premium: Premium = Premium()
