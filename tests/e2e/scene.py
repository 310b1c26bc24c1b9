"""The life of a token on the chain, block by block, and access to the stack as its administrator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from local.commands.tokens import issue
from local.stack.chain import call_data
from local.stack.checkout import REGION
from local.stack.demo_market import ETHER, Listing
from local.stack.local_stack import LocalStack
from tests.e2e.administrator import endpoint, session
from tests.e2e.leaks import register_secret
from tests.e2e.mining import Miner


@dataclass(frozen=True, slots=True)
class Token:
    """A token that only one test uses."""

    miner: Miner
    listing: Listing

    @classmethod
    def create(cls, miner: Miner) -> Token:
        """Create a token in a separate block."""
        miner.create_tokens(1)
        return cls(miner, miner.market.listings[-1])

    def buy(self, coins: float) -> None:
        """Buy for an amount of native coins, in a separate block."""
        node = self.miner.node
        buyer = node.call("eth_accounts")[3]
        data = {"from": buyer, "to": self.listing.market, "data": call_data("buy()"), "gas": hex(3_000_000)}
        node.call("eth_sendTransaction", {**data, "value": hex(int(coins * ETHER))})
        node.mine()

    def graduate(self) -> None:
        """Buy enough for the token to graduate."""
        self.buy(60)
        self.listing.open = False


def issue_token(stack: LocalStack, user: str) -> str:
    """Return a client token, signed with the stack's secret."""
    return register_secret(issue(endpoint(stack), stack.outputs.jwt_secret, user))


def connections(stack: LocalStack) -> Any:
    """Return an administrator's client of the API's `@connections`."""
    url = stack.outputs.websocket_url.replace("ws://", "http://")
    return session().client("apigatewaymanagementapi", endpoint_url=url, region_name=REGION)
