"""The market of one network: driven block by block, undone block by block, continued from what was kept of it.

Only a token's own events change its state, and each state says up to which block it goes: whatever is read again after
a crash is taken up once. States that may still be taken back are kept as they were before each block (the *journal*);
what is kept for the next life is always the state of a block that is final.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from chaincast.model.events import Event, Kind, event_id
from chaincast.model.topics import alert_topics, chain_topics
from listener.adapters.base import RESERVES
from listener.market.alerts import Alert, Judge, lengths
from listener.market.figures import figures
from listener.market.reference import Rates
from listener.market.series import Series
from listener.market.settings import MarketSettings
from listener.market.token import Token

_RELEVANT = frozenset({Kind.TOKEN_CREATED, Kind.TRADE, Kind.LIQUIDITY_ADDED, Kind.LIQUIDITY_REMOVED, RESERVES})

IDLE_MINUTES = 60
"""A token without events for so long is put away."""


@dataclass(frozen=True, slots=True)
class Key:
    """What may be put away: a token (`slot` None), or the minutes of one of its half hours."""

    token: str
    slot: int | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """What there is to keep of the state that `block` left: changed tokens, and slots of minutes that are over."""

    block: int
    rates: Rates
    tokens: Mapping[str, Token]
    chunks: Mapping[Key, bytes]

    def newest(self) -> dict[str, int]:
        """The newest of the slots that are over, by token."""
        found: dict[str, int] = {}
        for key in self.chunks:
            assert key.slot is not None
            found[key.token] = max(found.get(key.token, 0), key.slot)
        return found


@dataclass(slots=True)
class _Before:
    """A block that can be undone: what it replaced."""

    block: int
    rates: Rates
    tokens: dict[str, Token]


class Market:
    """Every token's state, as far as it is in memory. `base`: the block whose state can still be gone back to."""

    def __init__(self, network: str, settings: MarketSettings, base: int, rates: Rates | None = None) -> None:
        self._network = network
        self._judge = Judge(settings.alerts)
        self._lengths = lengths(settings.alerts)
        self.rates = rates or Rates(settings.wrapped_native, settings.stable_tokens, settings.reference_pools)
        self.block = self.base = base
        self._tokens: dict[str, Token] = {}
        self._journal: list[_Before] = []
        self._changed: set[str] = set()
        """Tokens whose state at `base` is not kept yet."""

    def missing(self, events: Iterable[Event], timestamp: int) -> list[Key]:
        """What is put away and needed for a block's events (`timestamp` in s): until there is nothing, `supply` it."""
        found: dict[Key, None] = {}
        for event in events:
            if event.kind in _RELEVANT and event.token is not None:
                token = self._tokens.get(event.token)
                if token is None:
                    found[Key(event.token)] = None
                else:
                    found |= dict.fromkeys(Key(event.token, h) for h in token.series.missing(timestamp // 60))
        return list(found)

    def supply(self, token: str, found: Token | None) -> None:
        """Put back a token; None: nothing was ever kept of it."""
        self._tokens[token] = found or Token(self._lengths)

    def supply_slot(self, key: Key, chunk: bytes) -> None:
        """Put back a slot's minutes."""
        assert key.slot is not None
        self._tokens[key.token].series.bring_back(key.slot, chunk)

    def begin_window_anew(self, token: str) -> None:
        """Some of a token's minutes are lost: its windows know nothing of before now, rather than something wrong."""
        state = self._tokens[token] = self._tokens[token].clone()
        former = state.series
        state.series = Series(self._lengths)
        state.series.close, state.series.opened = former.close, former.close

    def advance(self, block: int, block_hash: str, timestamp: int, events: Sequence[Event]) -> tuple[Event, ...]:
        """Take up a block (`timestamp` in s); its events with what follows from them, in order.

        What the network's adapters say of reserves is for this alone, and is not among them.
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
                    continue  # kept already, in an earlier life
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
        return derived.told(self._tokens, self.rates)

    def undo_to(self, block: int) -> None:
        """Go back to the state that `block` left, or to `base`, whichever is later.

        Who reads a chain again after a fork may begin deeper than it forked, where nothing has changed.
        """
        while self._journal and self._journal[-1].block > block:
            before = self._journal.pop()
            self._tokens.update(before.tokens)
            self.rates = before.rates
        self.block = min(self.block, block)

    def settle(self, final: int) -> None:
        """Blocks up to `final` will not be undone any more."""
        self.base = max(self.base, min(final, self.block))
        done = 0
        while done < len(self._journal) and self._journal[done].block <= self.base:
            self._changed |= self._journal[done].tokens.keys()
            done += 1
        del self._journal[:done]

    def keep(self) -> Kept:
        """What has changed, at `base`, since it was last asked for: to be written, and then told to `kept`.

        It does not change any more, whatever happens meanwhile.
        """
        at_base: dict[str, Token] = {}
        for before in reversed(self._journal):
            at_base |= before.tokens
        tokens = {name: at_base.get(name) or self._tokens[name] for name in self._changed}
        chunks = {Key(name, slot): chunk for name, token in tokens.items() for slot, chunk in token.series.over()}
        rates = self._journal[0].rates if self._journal else self.rates
        self._changed = set()
        return Kept(self.base, rates, tokens, chunks)

    def kept(self, kept: Kept, timestamp: int) -> None:
        """It is written: its slots need no memory any more, nor do tokens that have been idle."""
        for name, slot in kept.newest().items():
            self._tokens[name].series.put_away(slot)
        busy = self._changed.union(*(before.tokens for before in self._journal))
        idle = timestamp // 60 - IDLE_MINUTES
        for name in [n for n, token in self._tokens.items() if token.series.minute < idle and n not in busy]:
            del self._tokens[name]

    @property
    def changed(self) -> int:
        """How many tokens have changed, up to `base`, since they were last kept."""
        return len(self._changed)

    def __len__(self) -> int:
        """How many tokens are in memory."""
        return len(self._tokens)

    def token(self, address: str) -> Token:
        """A token's state. Raises KeyError if it is put away."""
        return self._tokens[address]


class _Derived:
    """One block's events, and what is derived from them: ids follow from the logs alone."""

    def __init__(self, network: str, block: int, block_hash: str, timestamp: int) -> None:
        self._network = network
        self._block = block
        self._block_hash = block_hash
        self._timestamp = timestamp
        self.events: list[Event] = []
        self._used: dict[int, int] = {}
        self._last: dict[str, Event] = {}
        """Each token's last event."""

    def touched(self, event: Event) -> None:
        assert event.token is not None
        self._last[event.token] = event

    def alert(self, cause: Event, token: Token, alert: Alert) -> None:
        about = {"type": alert.type, "severity": alert.severity, "title": alert.title, "message": alert.message}
        named = {"name": token.name, "symbol": token.symbol, "market": cause.contract}
        topics = alert_topics(alert.type, self._network, cause.token or "")
        self.events.append(self._event(cause, Kind.ALERT, topics, {**about, **named, **alert.data}))

    def told(self, tokens: Mapping[str, Token], rates: Rates) -> tuple[Event, ...]:
        """All there is to tell: each token's price once, behind the last of its events."""
        prices = []
        for name, cause in self._last.items():
            data = figures(tokens[name], rates)
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
