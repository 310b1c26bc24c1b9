"""Encoding of the market's state for the State table, as JSON with numbers beyond 53 bits as text. Deterministic."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from decimal import Decimal
from sys import intern
from typing import Any

import orjson

from chaincast.errors import CodecError
from listener.market.reference import Reference
from listener.market.series import CHUNK_MINUTES, RollingWindow, Series
from listener.market.token import Latest, Pool, Token

FORMAT = 1


def encode_token(token: Token, away: int | None) -> bytes:
    """Return a token's state as JSON, without chunks up to slot `away`, which are stored as items of their own."""
    series = token.series.clone()
    if away is not None:
        series.evict(away)
    # A chunk that was restored for a window is already stored.
    chunks = [
        None if chunk and slot < series.evicted_to else chunk for slot, chunk in enumerate(series.chunks, series.first)
    ]
    return orjson.dumps(
        {
            "v": FORMAT,
            "block": token.block,
            "about": [token.name, token.symbol, token.creator, token.created_at, token.decimals, _text(token.supply)],
            "pools": [[*pool[:5], str(pool.token_reserve), str(pool.quote_reserve)] for pool in token.pools],
            "price": [_text(token.price), _text(token.price_usd)],
            "latest": token.latest and list(token.latest),
            "trades": [token.trades, token.sells, str(token.bought), str(token.sold)],
            "alerted": token.alerted,
            "minute": [series.minute, series.count, str(series.volume), _text(series.close), _text(series.opened)],
            "touched": series.touched,
            "first": series.first,
            "away_to": series.evicted_to,
            "chunks": [None if chunk is None else b64encode(chunk).decode() for chunk in chunks],
            "windows": [[*t[:4], str(t.volume), _text(t.before)] for t in series.windows],
        }
    )


def decode_token(data: bytes, lengths: tuple[int, ...]) -> Token:
    """Return the token that `encode_token` encoded. Raise `CodecError` for damaged data or an unknown version.

    `lengths`: the windows that it must have in addition to a day's. Windows that the configuration added start empty.
    """
    try:
        document = orjson.loads(data)
        if document["v"] != FORMAT:
            raise CodecError(f"a token's state has format {document['v']!r}: this version reads {FORMAT}")
        token = Token(())
        token.block = document["block"]
        token.name, token.symbol, token.creator, token.created_at, token.decimals, supply = document["about"]
        token.supply = None if supply is None else int(supply)
        token.pools = tuple(_pool(*pool) for pool in document["pools"])
        token.price, token.price_usd = map(_decimal, document["price"])
        token.latest = _latest(*document["latest"]) if document["latest"] else None
        token.trades, token.sells, bought, sold = document["trades"]
        token.bought, token.sold = int(bought), int(sold)
        token.alerted = tuple(document["alerted"])
        token.series = _series(document, lengths)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise CodecError(f"not a token's state: {error}") from error
    return token


def _series(document: Mapping[str, Any], lengths: tuple[int, ...]) -> Series:
    minute, count, volume, close, opened = document["minute"]
    series = Series(())
    series.minute, series.count, series.volume, series.touched = minute, count, int(volume), document["touched"]
    series.close, series.opened = _decimal(close), _decimal(opened)
    series.first, series.evicted_to = document["first"], document["away_to"]
    series.chunks = tuple(None if chunk is None else b64decode(chunk) for chunk in document["chunks"])
    windows = [_window(*window) for window in document["windows"]]
    known = {window.minutes: window for window in windows[1:]}
    end = len(series.chunks[-1] or b"")
    fresh = [RollingWindow(length, minute // CHUNK_MINUTES, end, 0, 0, series.close) for length in lengths]
    series.windows = (windows[0], *(known.get(window.minutes, window) for window in fresh))
    return series


def _pool(address: str, unit: str, quote: str, symbol: str, decimals: int | None, token: str, quoted: str) -> Pool:
    return Pool(address, intern(unit), intern(quote), intern(symbol), decimals, int(token), int(quoted))


def _latest(id_: str, timestamp: int, side: str, price: str | None) -> Latest:
    return Latest(id_, timestamp, intern(side), price)


def _window(minutes: int, slot: int, offset: int, trades: int, volume: str, before: str | None) -> RollingWindow:
    return RollingWindow(minutes, slot, offset, trades, int(volume), _decimal(before))


def encode_head(block: int, pools: Mapping[str, Reference]) -> bytes:
    """Return the block of a snapshot and the reference pools after it, as JSON."""
    encoded = {address: [str(pool.native), str(pool.dollars), pool.decimals] for address, pool in pools.items()}
    return orjson.dumps({"v": FORMAT, "block": block, "pools": encoded})


def decode_head(data: bytes) -> tuple[int, dict[str, Reference]]:
    """Return the block and the reference pools that `encode_head` encoded. Raise `CodecError`."""
    try:
        document = orjson.loads(data)
        if document["v"] != FORMAT:
            raise CodecError(f"a market's state has format {document['v']!r}: this version reads {FORMAT}")
        pools = {address: Reference(int(n), int(d), p) for address, (n, d, p) in document["pools"].items()}
        return document["block"], pools
    except (ValueError, KeyError, TypeError) as error:
        raise CodecError(f"not a market's state: {error}") from error


def _text(value: int | Decimal | None) -> str | None:
    return None if value is None else str(value)


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
