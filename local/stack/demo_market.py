"""The demo market: random creators, buyers and sellers on the demo launchpad. The same seed gives the same trades."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from typing import Any

from eth_abi.abi import decode

from local.stack.chain import FACTORY, Node, RpcError, call_data, wait_for_receipt

ETHER = 10**18
_GAS = hex(3_000_000)
_NAMES = ("Moon", "Doge", "Pepe", "Rocket", "Frog", "Laser", "Turbo", "Tiny", "Mega", "Based")
_THINGS = ("Coin", "Cat", "Inu", "Finance", "Club", "Machine", "DAO", "Bonk", "Wave", "Chad")


@dataclass(slots=True)
class Listing:
    """A token and its market. `holders`: balances of the token by account. `open`: False once it has graduated."""

    token: str
    market: str
    holders: dict[str, int] = field(default_factory=dict)
    open: bool = True


class Market:
    """Traders on one node. Transactions are sent without waiting for their block."""

    def __init__(self, node: Node, seed: int) -> None:
        self._node = node
        self._random = random.Random(seed)  # noqa: S311 - randomness of a demo
        self._accounts: list[str] = node.call("eth_accounts")
        self.listings: list[Listing] = []
        self._approved: set[tuple[str, str]] = set()

    def create_transaction(self) -> dict[str, str]:
        """Return a transaction that creates a token."""
        name = f"{self._random.choice(_NAMES)} {self._random.choice(_THINGS)}"
        symbol = "".join(word[0] for word in name.split()).upper() + str(self._random.randint(10, 99))
        creator = self._random.choice(self._accounts)
        return {"from": creator, "to": FACTORY, "data": call_data("create(string,string)", name, symbol), "gas": _GAS}

    def trade_transactions(self, count: int) -> list[dict[str, str]]:
        """Return about `count` random trades of listed tokens. The first tokens trade most often."""
        transactions: list[dict[str, str]] = []
        listings = [entry for entry in self.listings if entry.open]
        while listings and len(transactions) < count:
            listing = listings[min(int(self._random.expovariate(0.6)), len(listings) - 1)]
            holders = [holder for holder, balance in listing.holders.items() if balance > 0]
            if holders and self._random.random() < 0.4:
                transactions += self._sale(listing, self._random.choice(holders))
            else:
                transactions.append(self._purchase(listing))
        return transactions

    def send(self, transactions: list[dict[str, str]]) -> list[str]:
        """Send transactions to the node, in order, and return their hashes."""
        if not transactions:
            return []
        hashes: list[str] = self._node.batch([("eth_sendTransaction", [t]) for t in transactions])
        return hashes

    def list_created(self, hashes: list[str]) -> None:
        """Add the tokens that `create` transactions created. Waits until these are mined."""
        for hash_ in hashes:
            receipt = wait_for_receipt(self._node, hash_)
            for log in receipt["logs"]:
                if log["address"].lower() == FACTORY.lower():
                    token, market = ("0x" + topic[-40:] for topic in log["topics"][1:3])
                    self.listings.append(Listing(token, market))

    def refresh(self) -> None:
        """Read balances of traders, and which markets have graduated, from the chain."""
        calls: list[tuple[str, list[Any]]] = []
        for listing in self.listings:
            calls.append(("eth_call", [{"to": listing.market, "data": call_data("graduated()")}, "latest"]))
            for account in self._accounts:
                data = call_data("balanceOf(address)", account)
                calls.append(("eth_call", [{"to": listing.token, "data": data}, "latest"]))
        results = iter(self._node.batch(calls) if calls else [])
        for listing in self.listings:
            listing.open = not decode(["bool"], bytes.fromhex(next(results)[2:]))[0]
            listing.holders = {account: int(next(results), 16) for account in self._accounts}

    def _purchase(self, listing: Listing) -> dict[str, str]:
        value = int(self._random.lognormvariate(-2.5, 1.0) * ETHER) + 1
        buyer = self._random.choice(self._accounts)
        return {"from": buyer, "to": listing.market, "data": call_data("buy()"), "value": hex(value), "gas": _GAS}

    def _sale(self, listing: Listing, seller: str) -> list[dict[str, str]]:
        amount = max(1, int(listing.holders[seller] * self._random.uniform(0.05, 0.5)))
        listing.holders[seller] -= amount
        sale = {"from": seller, "to": listing.market, "data": call_data("sell(uint256)", amount), "gas": _GAS}
        if (seller, listing.token) in self._approved:
            return [sale]
        self._approved.add((seller, listing.token))
        data = call_data("approve(address,uint256)", listing.market, 2**256 - 1)
        return [{"from": seller, "to": listing.token, "data": data, "gas": _GAS}, sale]


def run(node: Node, seed: int, *, trades_per_second: float = 4.0, tokens: int = 6) -> None:
    """Trade until the process ends: a few tokens at first, and from time to time a new one."""
    market = Market(node, seed)
    dice = random.Random(seed + 1)  # noqa: S311 - randomness of a demo
    market.list_created(market.send([market.create_transaction() for _ in range(tokens)]))
    while True:
        started = time.monotonic()
        try:
            market.refresh()
            if dice.random() < 0.05 or not any(entry.open for entry in market.listings):
                market.list_created(market.send([market.create_transaction()]))
            market.send(market.trade_transactions(max(1, round(dice.gauss(trades_per_second, trades_per_second / 2)))))
        except (RpcError, OSError, TimeoutError) as error:
            print(f"market: {error}", flush=True)
        time.sleep(max(0.0, 1.0 - (time.monotonic() - started)))


if __name__ == "__main__":
    import sys

    run(Node(int(sys.argv[1])), int(sys.argv[2]))
