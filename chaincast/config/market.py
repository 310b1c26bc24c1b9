"""`[networks.NAME.alerts]`: when the market engine speaks up."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import Field

from chaincast.config.section import Section

_Positive = Annotated[Decimal, Field(ge=0, le=1_000_000_000)]
_Minutes = Annotated[int, Field(ge=1, le=60)]
_Percent = Annotated[Decimal, Field(ge=0, le=100)]


class Alerts(Section):
    """Thresholds of a network's alerts; 0 turns one off. Percentages of 100, values in whole native coins."""

    price_percent: _Positive = Field(
        Decimal(20), description="`price`: the price moves by so many percent, up or down …"
    )
    price_minutes: _Minutes = Field(5, description="… within so many minutes")
    volume_multiplier: _Positive = Field(
        Decimal(10), description="`volume`: so many times what is usual (the mean of the last 24 h) is traded …"
    )
    volume_minutes: _Minutes = Field(5, description="… within so many minutes …")
    volume_min: _Positive = Field(Decimal(1), description="… and at least so much, in native coins")
    whale_value: _Positive = Field(Decimal(10), description="`whale`: one trade over so many native coins …")
    whale_percent: _Percent = Field(Decimal(5), description="… or over so many percent of the token's liquidity")
    rug_percent: _Percent = Field(
        Decimal(50), description="`rug`: more than so many percent of a pool's liquidity is taken out at once …"
    )
    creator_percent: _Percent = Field(
        Decimal(80), description="… or the creator has sold more than so many percent of all that he bought"
    )
    min_liquidity: _Positive = Field(
        Decimal(1), description="`price` and `whale` only of tokens with at least this liquidity, in native coins"
    )
    cooldown_minutes: Annotated[int, Field(ge=0, le=1440)] = Field(
        30, description="the same type of alert about the same token comes at most once in so many minutes"
    )
