"""The market engine's thin skin: what is put away is fetched from State, what has changed is kept there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from time import monotonic, time

from aws_lambda_powertools import Logger

from chaincast.eventlog.market_store import Entry, MarketState
from chaincast.model.events import Event
from listener.market.alerts import lengths
from listener.market.codec import decode_head, decode_token, encode_head, encode_token
from listener.market.engine import Kept, Key, Market
from listener.market.reference import Rates
from listener.market.settings import MarketSettings

logger = Logger(service="listener", child=True)

KEEP_SECONDS = 600.0
"""How often the market is kept; blocks since then are read again at the next start."""

MOST_CHANGED = 20_000
"""So many changed tokens are kept at once, however short the time: they fill the memory."""

_HEAD = "head"
_SLOTS_LAST_SECONDS = 30 * 86_400
"""They are needed for a day: of the chain's, which a listener that was away has yet to read."""


class MarketStore:
    """One network's market in State. Blocking."""

    def __init__(self, state: MarketState, network: str, settings: MarketSettings) -> None:
        self._state = state
        self._network = network
        self._settings = settings
        self._lengths = lengths(settings.alerts)
        self._kept_at = monotonic()

    def load(self, block: int) -> Market:
        """The market as it was kept, at the block that it was kept of; where nothing is, an empty one at `block`.

        That it began there is on record then: a crash before anything is kept does not make it begin again.
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
        """Fetch what the market needs for a block's events."""
        while keys := market.missing(events, timestamp):
            found = self._state.get(_name(key) for key in keys)
            for key in keys:
                data = found.get(_name(key))
                if key.slot is None:
                    market.supply(key.token, decode_token(data, self._lengths) if data else None)
                elif data is not None:
                    market.supply_slot(key, data)
                else:
                    # Somebody deleted it, or the listener was away for a month.
                    logger.error("minutes are lost", network=self._network, token=key.token, slot=key.slot)
                    market.begin_window_anew(key.token)

    def due(self, market: Market) -> bool:
        """Whether it is time to keep the market."""
        return monotonic() - self._kept_at >= KEEP_SECONDS or market.changed >= MOST_CHANGED

    def write(self, kept: Kept) -> None:
        """Keep what has changed: slots, then tokens, then the block that all are of. Repeating it changes nothing."""
        self._kept_at = monotonic()
        self._state.put(self._slots(kept))
        self._state.put(self._tokens(kept))
        self._state.put([Entry(_HEAD, kept.block, encode_head(kept.block, kept.rates.pools))])

    def _slots(self, kept: Kept) -> Iterator[Entry]:
        # By the clock, not by the blocks' time: a backfill's are long over when they are written.
        expires_at = int(time()) + _SLOTS_LAST_SECONDS
        for key, chunk in kept.chunks.items():
            yield Entry(_name(key), kept.block, chunk, expires_at)

    def _tokens(self, kept: Kept) -> Iterator[Entry]:
        newest = kept.newest()
        for name, token in kept.tokens.items():
            away = newest.get(name)
            yield Entry(_name(Key(name)), kept.block, encode_token(token, away))


def _name(key: Key) -> str:
    return f"token/{key.token}" if key.slot is None else f"slot/{key.token}/{key.slot}"
