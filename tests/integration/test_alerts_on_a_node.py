"""Alerts, on a real node: a scripted market fires each type once, and the near-miss beside it does not."""

from __future__ import annotations

import asyncio

import pytest

from chaincast.config.load import parse
from chaincast.config.model import Config
from chaincast.model.events import Event
from listener.wiring import make_follower
from local.stack.chain import CHAIN_ID, Node, call_data
from tests.integration.helpers import until
from tests.integration.test_pairs_on_a_node import Exchange, told

ETHER = 10**18


class Script:
    """A launchpad whose curves begin with 10 native coins, and pairs. One account creates all tokens."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.exchange = Exchange(node)
        self.launchpad = self.exchange.deploy("Launchpad")
        self.others: str = node.call("eth_accounts")[1]

    def create(self, symbol: str) -> tuple[str, str]:
        """A token on a curve; it and its market."""
        receipt = self.exchange.send({"to": self.launchpad, "data": call_data("create(string,string)", symbol, symbol)})
        (log,) = (log for log in receipt["logs"] if log["address"] == self.launchpad)
        token, market = ("0x" + topic[-40:] for topic in log["topics"][1:3])
        return token, market

    def buy(self, market: str, ether: float, *, creator: bool = False) -> None:
        who = {} if creator else {"from": self.others}
        self.exchange.send({"to": market, "data": call_data("buy()"), "value": hex(int(ether * ETHER)), **who})

    def sell(self, token: str, market: str, percent: int, *, creator: bool = False) -> None:
        who = {} if creator else {"from": self.others}
        owner = self.exchange.owner if creator else self.others
        (held,) = self.exchange.ask(token, "balanceOf(address)", ["uint256"], owner)
        self.exchange.send({"to": token, "data": call_data("approve(address,uint256)", market, 2**256 - 1), **who})
        self.exchange.send({"to": market, "data": call_data("sell(uint256)", held * percent // 100), **who})

    def wait(self, seconds: int) -> None:
        self.node.call("evm_increaseTime", seconds)

    def price(self, symbol: str, ether: float) -> None:
        """Trade a token whose curve has 10 native coins: a small trade, and one of `ether` within five minutes."""
        _, market = self.create(symbol)
        self.buy(market, 0.0001)
        self.buy(market, ether)

    def volume(self, symbol: str, ether: float) -> None:
        """Trade one coin, and ten minutes later `ether` coins within a minute, which is 200 times the mean."""
        _, market = self.create(symbol)
        self.buy(market, 1.0)
        self.wait(600)
        self.buy(market, ether)

    def whale(self, symbol: str, ether: float) -> None:
        """Buy for `ether` in a token's first trade, after which its pool is worth about 22 coins, and sell it all."""
        token, market = self.create(symbol)
        self.buy(market, ether)
        self.sell(token, market, 100)

    def creator(self, symbol: str, percent: int) -> None:
        """Buy as the creator, and sell `percent` of it."""
        token, market = self.create(symbol)
        self.buy(market, 0.5, creator=True)
        self.sell(token, market, percent, creator=True)

    def liquidity(self, token: str, percent: int) -> None:
        """Create a pair with 1,000 native coins, and withdraw `percent` of its liquidity."""
        pair = self.exchange.create_pair(token)
        amounts = {token: 10**24 * percent // 100, self.exchange.native: 10**21 * percent // 100}
        ordered = [amounts[t] for t in sorted(amounts)]
        self.exchange.send({"to": pair, "data": call_data("burn(uint256,uint256,address)", *ordered, self.others)})

    def configured(self) -> Config:
        return parse(f"""
[networks.local]
chain_id = {CHAIN_ID}
rpc_url = "{self.node.ws_url}"
block_ms = 200
wrapped_native = "{self.exchange.native}"
[networks.local.alerts]
price_percent = 20
price_minutes = 5
volume_multiplier = 100
volume_minutes = 5
volume_min = 1
whale_percent = 5
whale_value = 10
rug_percent = 50
creator_percent = 80
[[networks.local.contracts]]
adapter = "launchpad"
address = "{self.launchpad}"
[[networks.local.contracts]]
adapter = "uniswap_v2"
address = "{self.exchange.factory}"
""")


@pytest.fixture
def script(silent_node: Node) -> Script:
    return Script(silent_node)


def play(script: Script) -> None:
    script.price("PRICE", 0.96)  # (10.96 / 10)² is 20.1 % more
    script.price("NEARPRICE", 0.94)  # 19.7 %
    script.volume("VOLUME", 1.0)
    script.volume("NEARVOLUME", 0.99)
    script.whale("WHALE", 1.12)  # of 22.24: 5.04 %; and back, which is over 5 % again, but within the cool-down
    script.whale("NEARWHALE", 0.99)  # 4.50 %, and 4.95 % on the way back
    script.creator("RUG", 81)
    script.creator("NEARRUG", 79)
    script.liquidity(script.exchange.cat, 51)
    script.liquidity(script.exchange.dog, 49)


async def test_each_alert_is_told_once_and_not_for_the_near_miss(script: Script) -> None:
    config = script.configured()
    follower = make_follower(config, "local", config.networks["local"], lambda: None)
    running = asyncio.create_task(follower.run())
    await until(lambda: follower.done is not None)
    await asyncio.to_thread(play, script)
    head = script.node.block_number()
    await until(lambda: follower.done == head)
    follower.stop()
    await running

    alerts = [event for event in told() if event.kind == "alert"]
    assert [(alert.data["symbol"], alert.data["type"], alert.data["severity"]) for alert in alerts] == [
        ("PRICE", "price", "info"),
        ("VOLUME", "volume", "info"),
        ("WHALE", "whale", "warning"),
        ("RUG", "rug", "critical"),
        ("CAT", "rug", "critical"),
    ]
    price, volume, whale, creator, liquidity = (alert.data for alert in alerts)
    assert (price["percent"], price["message"]) == (20.12, "PRICE is up 20.1 % within 5 min")
    assert (volume["volume"], volume["usual"]) == (str(ETHER), str(ETHER * 5 // 1435))
    assert (whale["side"], whale["value"], whale["liquidity_percent"]) == ("buy", str(int(1.12 * ETHER)), 5.04)
    assert whale["message"] == "Whale buy: 1.12 native of WHALE, 5.0 % of its liquidity"
    assert (creator["reason"], creator["percent"]) == ("creator", 81.0)
    assert (liquidity["reason"], liquidity["percent"]) == ("liquidity", 51.0)
    assert all(is_filed(alert) for alert in alerts)


def is_filed(alert: Event) -> bool:
    own = (f"alerts:{alert.data['type']}", f"token:local:{alert.token}", "network:local")
    return alert.topics == own and alert.n > 0
