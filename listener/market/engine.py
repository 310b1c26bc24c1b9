"""The market of one network: advanced and undone block by block, and continued from its last snapshot.

Only a token's own events change its state, and each state records the block that it includes, so that a block that is
read again after a crash is applied once. States before blocks that may still be undone are kept in a *journal*; a
snapshot is always the state at a final block.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from chaincast.model.events import Event, Kind, event_id
from chaincast.model.topics import alert_topics, chain_topics
from listener.adapters.base import RESERVES
from listener.market.alerts import Alert, Judge, lengths
from listener.market.price_event import price_data
from listener.market.reference import Rates
from listener.market.series import Series
from listener.market.settings import MarketSettings
from listener.market.token import Token

_RELEVANT = frozenset({Kind.TOKEN_CREATED, Kind.TRADE, Kind.LIQUIDITY_ADDED, Kind.LIQUIDITY_REMOVED, RESERVES})

IDLE_MINUTES = 60
"""Minutes without events after which a token is evicted."""


@dataclass(frozen=True, slots=True)
class Key:
    """A part of the state that can be evicted: a token (`slot` None), or one chunk of its minutes."""

    token: str
    slot: int | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state at `block` to save: changed tokens, and chunks of minutes that are complete."""

    block: int
    rates: Rates
    tokens: Mapping[str, Token]
    chunks: Mapping[Key, bytes]

    def newest(self) -> dict[str, int]:
        """Return the newest chunk of each token."""
        found: dict[str, int] = {}
        for key in self.chunks:
            assert key.slot is not None
            found[key.token] = max(found.get(key.token, 0), key.slot)
        return found


@dataclass(slots=True)
class _Before:
    """A block that can be undone: the state that it replaced."""

    block: int
    rates: Rates
    tokens: dict[str, Token]


class Market:
    """All tokens in memory. `base`: the oldest block whose state can be restored."""

    def __init__(self, network: str, settings: MarketSettings, base: int, rates: Rates | None = None) -> None:
        self._network = network
        self._judge = Judge(settings.alerts)
        self._lengths = lengths(settings.alerts)
        self.rates = rates or Rates(settings.wrapped_native, settings.stable_tokens, settings.reference_pools)
        self.block = self.base = base
        self._tokens: dict[str, Token] = {}
        self._journal: list[_Before] = []
        self._changed: set[str] = set()
        """Tokens that changed up to `base` and are not saved yet."""

    def missing(self, events: Iterable[Event], timestamp: int) -> list[Key]:
        """Return the evicted parts that a block's events need (`timestamp` in s). `load` them until none is missing."""
        found: dict[Key, None] = {}
        for event in events:
            if event.kind in _RELEVANT and event.token is not None:
                token = self._tokens.get(event.token)
                if token is None:
                    found[Key(event.token)] = None
                else:
                    found |= dict.fromkeys(Key(event.token, h) for h in token.series.missing(timestamp // 60))
        return list(found)

    def load(self, token: str, state: Token | None) -> None:
        """Add a stored token, or a new one if `state` is None."""
        self._tokens[token] = state or Token(self._lengths)

    def load_slot(self, key: Key, chunk: bytes) -> None:
        """Add a stored chunk of minutes."""
        assert key.slot is not None
        self._tokens[key.token].series.restore_chunk(key.slot, chunk)

    def restart_windows(self, token: str) -> None:
        """Restart a token's windows after some of its minutes were lost. No value is better than a wrong one."""
        state = self._tokens[token] = self._tokens[token].clone()
        former = state.series
        state.series = Series(self._lengths)
        state.series.close, state.series.opened = former.close, former.close

    def advance(self, block: int, block_hash: str, timestamp: int, events: Sequence[Event]) -> tuple[Event, ...]:
        """Apply a block (`timestamp` in s). Return its events with those that follow from them, in order.

        Internal events about reserves are applied, but not returned.
        """
        before = _Before(block, self.rates, {})
        derived = _Derived(self._network, block, block_hash, timestamp)
        for event in events:
            if event.kind != RESERVES:
                derived.events.append(event)
            if event.kind not in _RELEVANT or event.token is None:
                continue
            self.rates = self.rates.with_event(event)
            token = self._tokens[event.token]
            if event.token not in before.tokens:
                if token.block >= block:
                    continue  # included in the snapshot that was loaded
                before.tokens[event.token] = token
                self._tokens[event.token] = token = token.clone()
            fact = token.apply(event, self.rates, timestamp // 60)
            derived.touched(event)
            for alert in self._judge.judge(token, fact, self.rates, timestamp):
                derived.alert(event, token, alert)
        for name in before.tokens:
            self._tokens[name].block = block
        self.block = block
        if before.tokens or before.rates is not self.rates:
            self._journal.append(before)
        return derived.with_prices(self._tokens, self.rates)

    def undo_to(self, block: int) -> None:
        """Restore the state after `block`, or at `base`, whichever is later.

        After a fork, blocks may be read again from below `base`. Tokens do not apply the blocks up to `base` again.
        """
        while self._journal and self._journal[-1].block > block:
            before = self._journal.pop()
            self._tokens.update(before.tokens)
            self.rates = before.rates
        self.block = min(self.block, block)

    def finalize(self, final: int) -> None:
        """Declare blocks up to `final` final: they will not be undone."""
        self.base = max(self.base, min(final, self.block))
        done = 0
        while done < len(self._journal) and self._journal[done].block <= self.base:
            self._changed |= self._journal[done].tokens.keys()
            done += 1
        del self._journal[:done]

    def take_snapshot(self) -> Snapshot:
        """Return everything that changed up to `base` since the last snapshot.

        The result does not change later. After writing it, call `snapshot_saved`.
        """
        at_base: dict[str, Token] = {}
        for before in reversed(self._journal):
            at_base |= before.tokens
        tokens = {name: at_base.get(name) or self._tokens[name] for name in self._changed}
        chunks = {
            Key(name, slot): chunk for name, token in tokens.items() for slot, chunk in token.series.closed_chunks()
        }
        rates = self._journal[0].rates if self._journal else self.rates
        self._changed = set()
        return Snapshot(self.base, rates, tokens, chunks)

    def snapshot_saved(self, snapshot: Snapshot, timestamp: int) -> None:
        """Evict the saved chunks, and tokens that have been idle."""
        for name, slot in snapshot.newest().items():
            self._tokens[name].series.evict(slot)
        busy = self._changed.union(*(before.tokens for before in self._journal))
        idle = timestamp // 60 - IDLE_MINUTES
        for name in [n for n, token in self._tokens.items() if token.series.minute < idle and n not in busy]:
            del self._tokens[name]

    @property
    def changed(self) -> int:
        """Number of tokens that changed up to `base` since the last snapshot."""
        return len(self._changed)

    def __len__(self) -> int:
        """Return the number of tokens in memory."""
        return len(self._tokens)

    def token(self, address: str) -> Token:
        """Return a token's state. Raise KeyError if it is not in memory."""
        return self._tokens[address]


class _Derived:
    """The events of one block, and those derived from them. Their ids depend only on the logs."""

    def __init__(self, network: str, block: int, block_hash: str, timestamp: int) -> None:
        self._network = network
        self._block = block
        self._block_hash = block_hash
        self._timestamp = timestamp
        self.events: list[Event] = []
        self._used: dict[int, int] = {}
        self._last: dict[str, Event] = {}
        """Last event of each token."""

    def touched(self, event: Event) -> None:
        assert event.token is not None
        self._last[event.token] = event

    def alert(self, cause: Event, token: Token, alert: Alert) -> None:
        about = {"type": alert.type, "severity": alert.severity, "title": alert.title, "message": alert.message}
        named = {"name": token.name, "symbol": token.symbol, "market": cause.contract}
        topics = alert_topics(alert.type, self._network, cause.token or "")
        self.events.append(self._event(cause, Kind.ALERT, topics, {**about, **named, **alert.data}))

    def with_prices(self, tokens: Mapping[str, Token], rates: Rates) -> tuple[Event, ...]:
        """Return all events, with one price per token after its last event."""
        prices = []
        for name, cause in self._last.items():
            data = price_data(tokens[name], rates)
            if data is not None:
                topics = chain_topics(Kind.PRICE, self._network, cause.contract or "", name)
                price = self._event(cause, Kind.PRICE, topics, data)
                prices.append(replace(price, conflation_key=f"price {name}"))
        if not prices:
            return tuple(self.events)
        return tuple(sorted([*self.events, *prices], key=lambda event: (event.log_index or 0, event.n)))

    def _event(self, cause: Event, kind: str, topics: tuple[str, ...], data: Mapping[str, object]) -> Event:
        assert cause.log_index is not None
        n = self._used.get(cause.log_index, 0) + 1
        self._used[cause.log_index] = n
        return Event(
            id=event_id(self._network, self._block, self._block_hash, cause.log_index, n),
            kind=kind,
            timestamp=self._timestamp * 1000,
            topics=topics,
            data=data,  # type: ignore[arg-type]  # its values are JSON
            block=self._block,
            tx_hash=cause.tx_hash,
            log_index=cause.log_index,
            contract=cause.contract,
            token=cause.token,
            n=n,
        )
