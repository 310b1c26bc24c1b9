"""Alert conditions: pure functions of an event and the token's state after it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from chaincast.config.market import Alerts
from chaincast.model.amounts import NATIVE_DECIMALS
from chaincast.model.events import Json
from listener.market.prices import change, percent, product, quotient, shown, whole
from listener.market.reference import Rates
from listener.market.series import DAY
from listener.market.token import Token, Traded, Withdrawn

HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert. `type` is one of ALERT_TYPES, `severity` is info, warning or critical. `data`: its values."""

    type: str
    severity: str
    title: str
    message: str
    data: Mapping[str, Json]


def lengths(settings: Alerts) -> tuple[int, ...]:
    """Return the lengths (minutes) of the windows that a token's series needs in addition to a day's."""
    return tuple(sorted({settings.price_minutes, settings.volume_minutes}))


class Judge:
    """The alert conditions of a network, with its thresholds."""

    def __init__(self, settings: Alerts) -> None:
        self._settings = settings
        wei = Decimal(10**NATIVE_DECIMALS)
        self._whale_value = int(settings.whale_value * wei)
        self._volume_min = int(settings.volume_min * wei)
        self._min_liquidity = int(settings.min_liquidity * wei)
        places = {length: place for place, length in enumerate(lengths(settings), 1)}
        self._price_tail, self._volume_tail = places[settings.price_minutes], places[settings.volume_minutes]
        # In the order of ALERT_TYPES.
        self._judgements = (self._price, self._volume, self._whale, self._rug)

    def judge(self, token: Token, fact: Traded | Withdrawn | None, rates: Rates, now: int) -> Iterator[Alert]:
        """Yield the alerts for an event, and store their time in the token. `now`: time of the block (s)."""
        quiet = now - self._settings.cooldown_minutes * 60
        for place, judgement in enumerate(self._judgements):
            last = token.alerted[place]
            if last and last > quiet:
                continue
            alert = judgement(token, fact, rates)
            if alert is not None:
                token.alerted = (*token.alerted[:place], now, *token.alerted[place + 1 :])
                yield alert

    def _price(self, token: Token, fact: Traded | Withdrawn | None, rates: Rates) -> Alert | None:
        settings, price = self._settings, token.price
        before = token.series.before(self._price_tail)
        if not settings.price_percent or price is None or before is None or price == before:
            return None
        moved = change(price, before)
        if moved is None or abs(moved) < settings.price_percent or not self._liquid(token, rates):
            return None
        up = price > before
        minutes = settings.price_minutes
        return Alert(
            "price",
            "info" if up else "warning",
            f"Price alert: {token.symbol}",
            f"{token.symbol} is {'up' if up else 'down'} {abs(moved):.1f} % within {minutes} min",
            {
                "percent": round(float(moved), 2),
                "minutes": minutes,
                "price_native": shown(price),
                "price_native_before": shown(before),
                "price_usd": shown(token.price_usd),
            },
        )

    def _volume(self, token: Token, fact: Traded | Withdrawn | None, rates: Rates) -> Alert | None:
        settings = self._settings
        if not settings.volume_multiplier or not isinstance(fact, Traded):
            return None
        recent = token.series.volume_of(self._volume_tail)
        earlier = token.series.volume_of(0) - recent
        if recent < self._volume_min or not earlier:
            return None
        # The mean volume of a period of the same length in the rest of the day.
        usual = earlier * settings.volume_minutes // (DAY - settings.volume_minutes)
        if recent < settings.volume_multiplier * usual:
            return None
        times = quotient(Decimal(recent), Decimal(usual))
        return Alert(
            "volume",
            "info",
            f"Volume alert: {token.symbol}",
            f"{_coins(recent)} of {token.symbol} traded within {settings.volume_minutes} min, "
            + (f"{times:.1f} times the mean of 24 h" if times is not None else "after almost no trades before"),
            {
                "volume": str(recent),
                "usual": str(usual),
                "times": None if times is None else round(float(times), 2),
                "minutes": settings.volume_minutes,
            },
        )

    def _whale(self, token: Token, fact: Traded | Withdrawn | None, rates: Rates) -> Alert | None:
        settings = self._settings
        if not isinstance(fact, Traded) or not fact.value or not self._liquid(token, rates):
            return None
        liquidity = token.liquidity(rates)
        share = percent(Decimal(fact.value), Decimal(liquidity)) if liquidity else None
        large = bool(self._whale_value) and fact.value > self._whale_value
        deep = bool(settings.whale_percent) and share is not None and share > settings.whale_percent
        if not large and not deep:
            return None
        return Alert(
            "whale",
            "warning",
            f"Whale alert: {token.symbol}",
            f"Whale {fact.side}: {_coins(fact.value)} native of {token.symbol}"
            + (f", {share:.1f} % of its liquidity" if share is not None else ""),
            {
                "side": fact.side,
                "trader": fact.trader,
                "value": str(fact.value),
                "value_usd": _dollars(fact.value, rates),
                "token_amount": str(fact.token_amount),
                "token_decimals": token.decimals,
                "liquidity_percent": None if share is None else round(float(share), 2),
            },
        )

    def _rug(self, token: Token, fact: Traded | Withdrawn | None, rates: Rates) -> Alert | None:
        settings = self._settings
        if isinstance(fact, Withdrawn) and settings.rug_percent:
            share = fact.share * HUNDRED
            if share > settings.rug_percent:
                return self._rug_alert(
                    token,
                    f"{share:.1f} % of a pool's liquidity was withdrawn",
                    {
                        "reason": "liquidity",
                        "percent": round(float(share), 2),
                        "provider": fact.provider,
                        "value": None if fact.value is None else str(fact.value),
                    },
                )
        if isinstance(fact, Traded) and fact.creator_left is not None and settings.creator_percent:
            sold = HUNDRED - fact.creator_left * HUNDRED
            if sold > settings.creator_percent:
                return self._rug_alert(
                    token,
                    f"the creator has sold {sold:.1f} % of their purchases",
                    {"reason": "creator", "percent": round(float(sold), 2), "creator": token.creator},
                )
        return None

    def _rug_alert(self, token: Token, what: str, data: Mapping[str, Json]) -> Alert:
        return Alert("rug", "critical", f"Rug alert: {token.symbol}", f"{token.symbol}: {what}", data)

    def _liquid(self, token: Token, rates: Rates) -> bool:
        return not self._min_liquidity or (token.liquidity(rates) or 0) >= self._min_liquidity


def _coins(wei: int) -> str:
    """Format an amount of native coins for people."""
    coins = float(whole(wei, NATIVE_DECIMALS))
    return f"{coins:,.2f}" if coins >= 1 else f"{coins:.4g}"


def _dollars(wei: int, rates: Rates) -> float | None:
    return None if rates.dollar is None else round(float(product(whole(wei, NATIVE_DECIMALS), rates.dollar)), 2)
