from __future__ import annotations

from collections.abc import Iterable
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from chaincast.config.market import Alerts
from chaincast.eventlog.market_store import Entry
from chaincast.model.events import Event, event_id
from listener.market.engine import Market
from listener.market.settings import MarketSettings
from listener.market.store import MarketStore
from tests.scale import sized
from tests.unit.listener.market import model
from tests.unit.listener.market.model import DOLLAR, NATIVE, REFERENCE, Block
from tests.unit.listener.market.random_market import TOKENS, RandomMarket

FINALITY = 6
START = 1_700_000_000
ALERTS = Alerts(price_minutes=7, volume_minutes=3, volume_multiplier=3, whale_value=5, cooldown_minutes=10)
SETTINGS = MarketSettings(NATIVE, (DOLLAR,), (REFERENCE,), ALERTS)


class Memory:
    """State, in memory: what `chaincast.eventlog.market_store.MarketState` does in DynamoDB."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}

    def get(self, names: Iterable[str]) -> dict[str, bytes]:
        return {name: self.entries[name].state for name in names if name in self.entries}

    def put(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            there = self.entries.get(entry.name)
            if there is None or there.block <= entry.block:
                self.entries[entry.name] = entry


def keep(store: MarketStore, market: Market, timestamp: int) -> None:
    kept = market.take_snapshot()
    store.write(kept)
    market.snapshot_saved(kept, timestamp)


class Driver:
    """A market and its history: all blocks go to the engine and to the reference model."""

    def __init__(self, dice: Random) -> None:
        self.dice = dice
        self.memory = Memory()
        self.blocks: list[Block] = [Block(0, "0x" + "0" * 64, START, ())]
        self.highest = 0
        self.told: dict[int, tuple[Event, ...]] = {}
        self._start()

    def _start(self) -> None:
        self.store = MarketStore(self.memory, "anvil", SETTINGS)  # type: ignore[arg-type]  # as good as the real one
        self.market = self.store.load(0)
        for block in self.blocks[self.market.block + 1 :]:
            self._advance(block)

    def _advance(self, block: Block) -> tuple[Event, ...]:
        self.store.fill(self.market, block.events, block.timestamp)
        return self.market.advance(block.number, block.hash, block.timestamp, block.events)

    def grow(self) -> None:
        last = self.blocks[-1]
        block = RandomMarket(self.dice).block(last.number + 1, last.timestamp)
        self.blocks.append(block)
        self.told[block.number] = self._advance(block)
        self.highest = max(self.highest, block.number)
        self.market.finalize(block.number - FINALITY)
        self.check(block)

    def check(self, block: Block) -> None:
        told = self.told[block.number]
        prices = {event.token: event for event in told if event.kind == "price"}
        touched = {event.token for event in block.events}
        for token in [*TOKENS, NATIVE]:
            if token not in touched:
                assert token not in prices
                continue
            expected = model.figures(self.blocks, token)
            assert (token in prices) == (expected is not None)
            if expected is not None:
                figures = prices[token].data
                assert {name: figures[name] for name in expected} == expected
            causes = {e.log_index: e.id for e in block.events}
            alerts = [(causes[e.log_index], e.data["type"]) for e in told if e.kind == "alert" and e.token == token]
            everything = model.alerts(self.blocks, token, ALERTS)
            assert alerts == [(id_, type_) for id_, type_ in everything if id_ in causes.values()]

    def reorganise(self) -> None:
        floor = max(self.highest - FINALITY, 0)
        ancestor = self.dice.randint(min(floor, self.blocks[-1].number), self.blocks[-1].number)
        self.market.undo_to(ancestor)
        del self.blocks[ancestor + 1 :]

    def keep(self) -> None:
        keep(self.store, self.market, self.blocks[-1].timestamp)

    def keep_slowly(self) -> None:
        """Other blocks come, and go, while it is being kept."""
        kept = self.market.take_snapshot()
        for step in self.dice.choices([self.grow, self.reorganise], [4, 1], k=self.dice.randint(1, 8)):
            step()
        self.store.write(kept)
        self.market.snapshot_saved(kept, self.blocks[-1].timestamp)

    def crash_while_keeping(self) -> None:
        """Some of what was to be kept is, and the head is not."""
        kept = self.market.take_snapshot()
        whole = [*self.store._slots(kept), *self.store._tokens(kept)]
        self.memory.put(whole[: self.dice.randint(0, len(whole))])
        self._start()

    def restart(self) -> None:
        self._start()


@settings(max_examples=sized(25, full=60))
@given(st.integers(0, 2**63))
def test_the_engine_equals_the_obvious_reference_through_reorganisations_and_restarts(seed: int) -> None:
    driver = Driver(Random(seed))
    steps = [driver.grow] * 10 + [driver.reorganise, driver.keep, driver.keep_slowly]
    steps += [driver.crash_while_keeping, driver.restart]
    for _ in range(80):
        driver.dice.choice(steps)()
    driver.grow()


def test_a_dense_day_is_put_away_bit_by_bit_and_still_summed_to_the_last_digit() -> None:
    dice = Random(3)
    driver = Driver(dice)
    market, store = driver.market, driver.store
    values: list[tuple[int, int]] = []
    timestamp = START
    for number in range(1, 2_400):  # a trade a minute, for a day and two thirds
        timestamp += 60
        event = trade(number, timestamp, value := dice.randrange(10**20))
        store.fill(market, [event], timestamp)
        told = market.advance(number, "0x" + f"{number:064x}", timestamp, [event])
        market.finalize(number - FINALITY)
        values.append((timestamp // 60, value))
        if number % 30 == 0:
            keep(store, market, timestamp)
        if number % 500 == 0:
            (price,) = (e for e in told if e.kind == "price")
            window = [v for minute, v in values if minute > timestamp // 60 - 1440]
            assert (price.data["volume_24h"], price.data["trades_24h"]) == (str(sum(window)), len(window))
    in_memory = [chunk for chunk in market.token(TOKENS[0]).series.chunks if chunk]
    assert len(in_memory) <= 4, "minutes that no window is in are not in memory"


def test_idle_tokens_are_put_away_and_come_back_when_they_trade_again() -> None:
    driver = Driver(Random(1))
    market, store = driver.market, driver.store
    for number, timestamp in ((1, START), (2, START + 4_000)):
        event = trade(number, timestamp, 10**18, TOKENS[number])
        store.fill(market, [event], timestamp)
        market.advance(number, "0x" + f"{number:064x}", timestamp, [event])
    market.finalize(2)
    keep(store, market, START + 4_000)
    assert len(market) == 1
    event = trade(3, START + 5_000, 10**18, TOKENS[1])
    store.fill(market, [event], START + 5_000)
    *_, price = market.advance(3, "0x" + f"{3:064x}", START + 5_000, [event])
    assert (price.data["trades"], price.data["volume_24h"]) == (2, str(2 * 10**18))


def test_minutes_that_are_lost_begin_the_window_anew_instead_of_counting_wrong() -> None:
    driver = Driver(Random(1))
    market, store = driver.market, driver.store
    timestamp, counts = START, []
    for number in range(1, 1_600):
        timestamp += 60
        if number == 1_000:
            driver.memory.entries = {n: e for n, e in driver.memory.entries.items() if not n.startswith("slot/")}
        event = trade(number, timestamp, 10**18)
        store.fill(market, [event], timestamp)
        *_, price = market.advance(number, "0x" + f"{number:064x}", timestamp, [event])
        market.finalize(number)
        if number % 10 == 0 and number < 1_000:
            keep(store, market, timestamp)
        counts.append(int(str(price.data["trades_24h"])))
        assert price.data["volume_24h"] == str(counts[-1] * 10**18)
    assert counts[1_438] == 1_439
    # Then the oldest minutes were needed and not there: from that moment on it counts what it sees.
    lost = next(place for place, count in enumerate(counts) if count == 1 and place)
    assert 1_440 <= lost < 1_480
    assert counts[lost:] == list(range(1, len(counts) - lost + 1))


def test_ids_of_what_is_derived_follow_from_the_logs_alone_and_sort_behind_them() -> None:
    driver = Driver(Random(1))
    events = [trade(1, START, 10**18), trade(1, START, 50 * 10**18, index=4)]
    driver.store.fill(driver.market, events, START)
    told = driver.market.advance(1, "0x" + "ab" * 32, START, events)
    assert [(e.kind, e.id) for e in told] == [
        ("trade", "anvil:1:abababab:0"),
        ("trade", "anvil:1:abababab:4"),
        ("alert", "anvil:1:abababab:4:1"),
        ("price", "anvil:1:abababab:4:2"),
    ]
    assert told[2].data["type"] == "whale"
    assert told[2].topics == ("alerts:whale", f"token:anvil:{TOKENS[0]}", "network:anvil")
    assert told[3].topics[0] == f"prices:anvil:{TOKENS[0]}"
    assert told[3].conflation_key == f"price {TOKENS[0]}"


def test_reading_again_from_before_the_base_changes_nothing() -> None:
    driver = Driver(Random(1))
    market, store = driver.market, driver.store
    events = {number: trade(number, START + number, 10**18) for number in range(1, 30)}
    told = {}
    for number, event in events.items():
        store.fill(market, [event], START + number)
        told[number] = market.advance(number, "0x" + f"{number:064x}", START + number, [event])
        market.finalize(number - FINALITY)
    market.undo_to(10)
    for number in range(11, 30):
        again = market.advance(number, "0x" + f"{number:064x}", START + number, [events[number]])
        market.finalize(number - FINALITY)
        assert again == (told[number] if number > 29 - FINALITY else (events[number],))


def trade(number: int, timestamp: int, value: int, token: str = TOKENS[0], index: int = 0) -> Event:
    return Event(
        id=event_id("anvil", number, "0x" + "ab" * 32, index),
        kind="trade",
        timestamp=timestamp * 1000,
        topics=(),
        data={
            "market": "0x" + "aa" * 20,
            "name": "N",
            "symbol": "S",
            "side": "buy",
            "trader": "0x" + "c2" * 20,
            "native_amount": str(value),
            "token_amount": "1000",
            "native_reserve": str(10**22),
            "token_reserve": str(10**26),
            "price": "1",
        },
        block=number,
        tx_hash="0x0",
        log_index=index,
        contract="0x" + "aa" * 20,
        token=token,
    )
