"""`[networks.NAME.alerts]`: the thresholds of market alerts."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import Field

from chaincast.config.section import Section

_Positive = Annotated[Decimal, Field(ge=0, le=1_000_000_000)]
_Minutes = Annotated[int, Field(ge=1, le=60)]
_Percent = Annotated[Decimal, Field(ge=0, le=100)]


class Alerts(Section):
    """Thresholds of a network's alerts; 0 turns one off. Percentages are 0 to 100, values are in native coins."""

    price_percent: _Positive = Field(
        Decimal(20),
        description="`price` alert: change of the price in percent, up or down, within `price_minutes`",
    )
    price_minutes: _Minutes = Field(5, description="period of `price` alerts in minutes")
    volume_multiplier: _Positive = Field(
        Decimal(10),
        description="`volume` alert: traded volume within `volume_minutes`, as a multiple of the mean of the last 24 h",
    )
    volume_minutes: _Minutes = Field(5, description="period of `volume` alerts in minutes")
    volume_min: _Positive = Field(Decimal(1), description="least traded volume for a `volume` alert, in native coins")
    whale_value: _Positive = Field(
        Decimal(10), description="`whale` alert: value of one trade that is exceeded, in native coins"
    )
    whale_percent: _Percent = Field(
        Decimal(5), description="`whale` alert: value of one trade that is exceeded, in percent of the liquidity"
    )
    rug_percent: _Percent = Field(
        Decimal(50), description="`rug` alert: percentage of a pool's liquidity that one withdrawal exceeds"
    )
    creator_percent: _Percent = Field(
        Decimal(80), description="`rug` alert: percentage of the creator's purchases that their sales exceed"
    )
    min_liquidity: _Positive = Field(
        Decimal(1), description="least liquidity of a token for `price` and `whale` alerts, in native coins"
    )
    cooldown_minutes: Annotated[int, Field(ge=0, le=1440)] = Field(
        30, description="minutes between two alerts of the same type about the same token"
    )
