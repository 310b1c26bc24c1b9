"""Storage of the market: loads evicted state from State, and saves snapshots there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from time import monotonic, time

from aws_lambda_powertools import Logger

from chaincast.eventlog.market_store import Entry, MarketState
from chaincast.model.events import Event
from listener.market.alerts import lengths
from listener.market.codec import decode_head, decode_token, encode_head, encode_token
from listener.market.engine import Key, Market, Snapshot
from listener.market.reference import Rates
from listener.market.settings import MarketSettings

logger = Logger(service="listener", child=True)

SNAPSHOT_SECONDS = 600.0
"""Seconds between snapshots. Blocks since the last one are read again at the next start."""

MAX_CHANGED_TOKENS = 20_000
"""Number of changed tokens after which a snapshot is taken early, because they occupy memory."""

_HEAD = "head"
_CHUNK_RETENTION_SECONDS = 30 * 86_400
"""Seconds that chunks are stored: windows need them for a day of the chain's time, which may be long ago."""


class MarketStore:
    """Store of one network's market. Its methods block."""

    def __init__(self, state: MarketState, network: str, settings: MarketSettings) -> None:
        self._state = state
        self._network = network
        self._settings = settings
        self._lengths = lengths(settings.alerts)
        self._saved_at = monotonic()

    def load(self, block: int) -> Market:
        """Return the market of the last snapshot or, without one, an empty market at `block`.

        The start block of an empty market is stored immediately: a crash before the first snapshot does not move it.
        """
        head = self._state.get([_HEAD]).get(_HEAD)
        if head is None:
            self._state.put([Entry(_HEAD, block, encode_head(block, {}))])
            return Market(self._network, self._settings, block)
        base, pools = decode_head(head)
        settings = self._settings
        rates = Rates(settings.wrapped_native, settings.stable_tokens, settings.reference_pools, pools)
        return Market(self._network, settings, base, rates)

    def fill(self, market: Market, events: Sequence[Event], timestamp: int) -> None:
        """Load the evicted state that a block's events need (`timestamp` in s)."""
        while keys := market.missing(events, timestamp):
            found = self._state.get(_name(key) for key in keys)
            for key in keys:
                data = found.get(_name(key))
                if key.slot is None:
                    market.load(key.token, decode_token(data, self._lengths) if data else None)
                elif data is not None:
                    market.load_slot(key, data)
                else:
                    # The item was deleted, or it expired while the listener was down for a month.
                    logger.error("stored minutes are missing", network=self._network, token=key.token, slot=key.slot)
                    market.restart_windows(key.token)

    def due(self, market: Market) -> bool:
        """Return True if a snapshot is due."""
        return monotonic() - self._saved_at >= SNAPSHOT_SECONDS or market.changed >= MAX_CHANGED_TOKENS

    def write(self, snapshot: Snapshot) -> None:
        """Save a snapshot: chunks, then tokens, then the block that all include. Repeating it changes nothing."""
        self._saved_at = monotonic()
        self._state.put(self._slots(snapshot))
        self._state.put(self._tokens(snapshot))
        self._state.put([Entry(_HEAD, snapshot.block, encode_head(snapshot.block, snapshot.rates.pools))])

    def _slots(self, snapshot: Snapshot) -> Iterator[Entry]:
        # Expiry counts from now, not from the blocks' time: blocks of a backfill are old when they are written.
        expires_at = int(time()) + _CHUNK_RETENTION_SECONDS
        for key, chunk in snapshot.chunks.items():
            yield Entry(_name(key), snapshot.block, chunk, expires_at)

    def _tokens(self, snapshot: Snapshot) -> Iterator[Entry]:
        newest = snapshot.newest()
        for name, token in snapshot.tokens.items():
            away = newest.get(name)
            yield Entry(_name(Key(name)), snapshot.block, encode_token(token, away))


def _name(key: Key) -> str:
    return f"token/{key.token}" if key.slot is None else f"slot/{key.token}/{key.slot}"
