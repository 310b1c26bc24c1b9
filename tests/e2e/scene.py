"""What is to be told: a token's life on the chain, block by block, and what backends publish."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from local.commands.tokens import issue
from local.stack.chain import call_data
from local.stack.checkout import REGION
from local.stack.demo_market import ETHER, Listing
from local.stack.local_stack import LocalStack
from tests.e2e.administrator import endpoint, session
from tests.e2e.leaks import used
from tests.e2e.mining import Miner


@dataclass(frozen=True, slots=True)
class Token:
    """A token of its own for one test."""

    miner: Miner
    listing: Listing

    @classmethod
    def create(cls, miner: Miner) -> Token:
        """In a block of its own."""
        miner.create_tokens(1)
        return cls(miner, miner.market.listings[-1])

    def buy(self, coins: float) -> None:
        """One purchase for so many native coins, in a block of its own."""
        node = self.miner.node
        buyer = node.call("eth_accounts")[3]
        data = {"from": buyer, "to": self.listing.market, "data": call_data("buy()"), "gas": hex(3_000_000)}
        node.call("eth_sendTransaction", {**data, "value": hex(int(coins * ETHER))})
        node.mine()

    def graduate(self) -> None:
        """It has raised enough."""
        self.buy(60)
        self.listing.open = False


def token_of(stack: LocalStack, user: str) -> str:
    """A client's token, as whoever knows the stack's secret issues it."""
    return used(issue(endpoint(stack), stack.outputs.jwt_secret, user))


def connections(stack: LocalStack) -> Any:
    """The API's `@connections`, for its administrator."""
    url = stack.outputs.websocket_url.replace("ws://", "http://")
    return session().client("apigatewaymanagementapi", endpoint_url=url, region_name=REGION)
