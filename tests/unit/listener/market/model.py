"""A slow reference model of the market. It computes everything from all events and shares no code with the engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Context, Decimal
from fractions import Fraction
from functools import partial
from typing import Any, NamedTuple

from chaincast.config.market import Alerts
from chaincast.model.events import Event

NATIVE = "0x" + "ee" * 20
DOLLAR = "0x" + "dd" * 20
REFERENCE = "0x" + "99" * 20


class Block(NamedTuple):
    number: int
    hash: str
    timestamp: int
    events: tuple[Event, ...]


class Moment(NamedTuple):
    """A token right after one of its events."""

    minute: int
    event: Event
    price: Decimal | None
    price_usd: Decimal | None
    value: int | None
    liquidity: int | None
    pools: list[dict[str, Any]]


def rounded(exact: Fraction) -> Decimal:
    return Context(prec=18, Emin=-999_999, Emax=999_999).divide(Decimal(exact.numerator), Decimal(exact.denominator))


def text(price: Decimal | None) -> str | None:
    return None if price is None else f"{price.normalize(Context(prec=18, Emin=-999_999, Emax=999_999)):f}"


def worth_in(reference: tuple[int, int], quote: str, amount: int, decimals: int) -> int | None:
    """Return an amount of a quote in wei. `reference`: reserves in wei and in millionths of a dollar."""
    native, dollars = reference
    if quote == NATIVE:
        return amount
    if quote == DOLLAR and native and dollars:
        return int(amount * 10**6 * native // (10**decimals * dollars))
    return None


def liquidity_of(pools: Sequence[dict[str, Any]], reference: tuple[int, int]) -> int | None:
    values = [worth_in(reference, pool["quote"], pool["amount"], pool["quote_decimals"]) for pool in pools]
    known = [value for value in values if value is not None]
    return 2 * sum(known) if known else None


def moments(blocks: Sequence[Block], token: str) -> Iterator[Moment]:
    """The token's story, event by event."""
    pools: list[dict[str, Any]] = []
    native = dollars = 0
    price = price_usd = None
    for block in blocks:
        for event in block.events:
            data: Any = event.data
            if event.kind == "reserves" and event.contract == REFERENCE:
                native, dollars = int(data["token_reserve"]), int(data["quote_reserve"])
            if event.token != token:
                continue
            dollar = rounded(Fraction(dollars * 10**12, native)) if native and dollars else None

            worth = partial(worth_in, (native, dollars))
            if event.kind != "token.created" and (data.get("quote_reserve") or data.get("native_reserve")) is not None:
                told = {
                    "market": data["market"],
                    "quote": data.get("quote", NATIVE),
                    "token": int(data["token_reserve"]),
                    "amount": int(data.get("quote_reserve", data.get("native_reserve"))),
                    "decimals": data.get("token_decimals", 18),
                    "quote_decimals": data.get("quote_decimals", 18),
                }
                pools = [pool for pool in pools if pool["market"] != told["market"]] + [told]

                def rank(pool: dict[str, Any], worth: Any = worth) -> tuple[int, int]:
                    value = worth(pool["quote"], pool["amount"], pool["quote_decimals"])
                    return (0, pool["amount"]) if value is None else (1, value)

                pools.sort(key=rank, reverse=True)
                main = pools[0]
                scale = Fraction(10) ** (main["decimals"] - main["quote_decimals"])
                quoted = rounded(Fraction(main["amount"], main["token"]) * scale) or None
                price = price_usd = None
                if quoted is not None and main["quote"] == NATIVE:
                    price = quoted
                    price_usd = rounded(Fraction(quoted) * Fraction(dollar)) if dollar else None
                elif quoted is not None and main["quote"] == DOLLAR:
                    price = rounded(Fraction(quoted) / Fraction(dollar)) if dollar else None
                    price_usd = quoted
            value = None
            if event.kind == "trade":
                amount = int(data.get("native_amount", data.get("quote_amount")))
                value = worth(data.get("quote", NATIVE), amount, data.get("quote_decimals", 18))
            yield Moment(
                block.timestamp // 60, event, price, price_usd, value, liquidity_of(pools, (native, dollars)), pools
            )


def figures(blocks: Sequence[Block], token: str) -> dict[str, Any] | None:
    """Return the expected data of the token's price event in the last block."""
    story = list(moments(blocks, token))
    if not story[-1].pools:
        return None
    now, last = blocks[-1].timestamp // 60, story[-1]
    day = [m for m in story if m.minute > now - 1440 and m.event.kind == "trade"]
    trades = [m for m in story if m.event.kind == "trade"]
    sells = [m for m in trades if m.event.data["side"] == "sell"]
    before = price_before(story, now, 1440)
    told = [e.data for block in blocks for e in block.events if e.kind == "reserves" and e.contract == REFERENCE]
    reference = (int(str(told[-1]["token_reserve"])), int(str(told[-1]["quote_reserve"]))) if told else (0, 0)
    change = None
    if last.price is not None and before is not None:
        moved = rounded(Fraction(last.price) - Fraction(before))
        change = round(float(rounded(Fraction(rounded(Fraction(moved) * 100)) / Fraction(before))), 4)
    latest = trades[-1].event if trades else None
    return {
        "price_native": text(last.price),
        "price_usd": text(last.price_usd),
        "change_24h": change,
        "volume_24h": str(sum(m.value or 0 for m in day)),
        "trades_24h": len(day),
        "liquidity": None if (liquidity := liquidity_of(last.pools, reference)) is None else str(liquidity),
        "trades": len(trades),
        "buys": len(trades) - len(sells),
        "sells": len(sells),
        "latest_trade": latest
        and {
            "id": latest.id,
            "timestamp": latest.timestamp,
            "side": latest.data["side"],
            "price": latest.data["price"],
        },
    }


def price_before(story: Sequence[Moment], now: int, minutes: int) -> Decimal | None:
    """Return the price at the beginning of the last `minutes` minutes; for a younger token, its first price."""
    told = [m for m in story if m.event.kind != "token.created"]
    old = [m.price for m in told if m.minute <= now - minutes]
    if old and old[-1] is not None:
        return old[-1]
    return next((m.price for m in told if m.price is not None), None)


def alerts(blocks: Sequence[Block], token: str, settings: Alerts) -> list[tuple[str, str]]:
    """All alerts there must ever have been about a token: the id of the event that caused each, and its type."""
    found: list[tuple[str, str]] = []
    quiet: dict[str, int] = {}
    story = list(moments(blocks, token))
    creator = next((m.event.data["creator"] for m in story if m.event.kind == "token.created"), None)
    for place, moment in enumerate(story):
        past, seconds = story[: place + 1], moment.event.timestamp // 1000
        now, event = seconds // 60, moment.event
        worthy = {
            "price": _price(past, now, settings),
            "volume": event.kind == "trade" and _volume(past, now, settings),
            "whale": event.kind == "trade" and _whale(moment, settings),
            "rug": _rug(past, creator, settings),
        }
        for type_, is_worthy in worthy.items():
            if is_worthy and seconds - quiet.get(type_, -(10**9)) >= settings.cooldown_minutes * 60:
                quiet[type_] = seconds
                found.append((event.id, type_))
    return found


def _price(past: Sequence[Moment], now: int, settings: Alerts) -> bool:
    price, before = past[-1].price, price_before(past, now, settings.price_minutes)
    if price is None or before is None or past[-1].liquidity is None:
        return False
    moved = rounded(Fraction(rounded(Fraction(price) - Fraction(before)) * 100) / Fraction(before))
    return bool(abs(moved) >= settings.price_percent) and past[-1].liquidity >= settings.min_liquidity * 10**18


def _volume(past: Sequence[Moment], now: int, settings: Alerts) -> bool:
    recent = sum(m.value or 0 for m in past if m.minute > now - settings.volume_minutes)
    earlier = sum(m.value or 0 for m in past if now - 1440 < m.minute <= now - settings.volume_minutes)
    usual = earlier * settings.volume_minutes // (1440 - settings.volume_minutes)
    return earlier > 0 and recent >= settings.volume_min * 10**18 and recent >= settings.volume_multiplier * usual


def _whale(moment: Moment, settings: Alerts) -> bool:
    if not moment.value or (moment.liquidity or 0) < settings.min_liquidity * 10**18:
        return False
    share = Fraction(moment.value * 100, moment.liquidity) if moment.liquidity else 0
    return moment.value > settings.whale_value * 10**18 or rounded(Fraction(share)) > settings.whale_percent


def _rug(past: Sequence[Moment], creator: object, settings: Alerts) -> bool:
    event = past[-1].event
    data: Any = event.data
    if event.kind == "liquidity.removed" and data["quote_reserve"] is not None:
        taken = int(data["quote_amount"])
        share = rounded(Fraction(taken, taken + int(data["quote_reserve"]))) if taken else Decimal(0)
        return share * 100 > settings.rug_percent
    if event.kind == "trade" and data["side"] == "sell" and creator and data["trader"] == creator:
        created = next((i for i, m in enumerate(past) if m.event.kind == "token.created"), None)
        if created is None:
            return False
        his: list[Any] = [
            m.event.data for m in past[created:] if m.event.kind == "trade" and m.event.data["trader"] == creator
        ]
        bought = sum(int(d["token_amount"]) for d in his if d["side"] == "buy")
        sold = sum(int(d["token_amount"]) for d in his if d["side"] == "sell")
        if bought:
            return 100 - rounded(Fraction(max(bought - sold, 0), bought)) * 100 > settings.creator_percent
    return False
