"""`[topics]`: what takes more than a connection."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

from pydantic import AfterValidator, Field, model_validator

from chaincast.config.section import Section
from chaincast.model.topics import FAMILIES

_CARRIED_BY: Final = {
    "tokens": ("token", "network"),
    "trades": ("token", "network"),
    "prices": ("token", "network"),
    "alerts": ("token", "network"),
    "contract": ("network",),
    "token": ("network",),
}
"""What an on-chain event is filed under besides: who may listen to that, hears it, too."""


def _pattern(value: str) -> str:
    family, *parts = value.split(":")
    known = [name for name, f in FAMILIES.items() if not f.private and f.scope]
    if family not in known or len(parts) > 1 + bool(FAMILIES[family].key) or not all(parts):
        raise ValueError(f"a premium topic is family[:scope[:key]], each part may be '*'; families: {', '.join(known)}")
    return value if not FAMILIES[family].folds_case else value.lower()


Pattern: TypeAlias = Annotated[str, AfterValidator(_pattern)]


class Premium(Section):
    """Topics only for users whose token has a claim."""

    topics: tuple[Pattern, ...] = Field(
        (), description="which: a family (`alerts`), or a topic where `*` stands for anything (`price:BTC`)"
    )
    claim: str = Field("premium", description="the claim of the token that allows them", min_length=1)
    values: tuple[str, ...] = Field((), description="what it must be; if nothing is named, anything but false or empty")

    @model_validator(mode="after")
    def _check(self) -> Premium:
        named = {pattern.partition(":")[0] for pattern in self.topics}
        for family in sorted(named):
            for carrier in _CARRIED_BY.get(family, ()):
                if carrier not in named:
                    raise ValueError(f"topics: {carrier!r} carries the events of {family!r}, too: name both")
        return self


class Topics(Section):
    """What topics take."""

    premium: Premium = Premium()
