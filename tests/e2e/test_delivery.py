"""A test that every client receives exactly the events of its topics, in order."""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack

from chaincast.model.topics import wildcard_forms
from local.stack.demo_market import Market
from local.stack.local_stack import LocalStack
from tests.e2e.client import Client
from tests.e2e.mining import Expected, Miner
from tests.factories import of_logs
from tests.scale import sized

CLIENTS = 20
BLOCKS = sized(60, full=200)


def choose_topics(miner: Miner, dice: random.Random) -> list[str]:
    """Return topics as frontends subscribe to them: of one token's page, a network's page, or a feed of all trades."""
    listing = dice.choice(miner.market.listings)
    return dice.choice(
        [
            ["trades:*:*"],
            ["network:anvil"],
            ["tokens:anvil", "trades:anvil:*"],
            ["tokens:*"],
            [f"trades:anvil:{listing.token}", "tokens:anvil"],
            [f"token:anvil:{listing.token.upper().replace('0X', '0x')}"],
            [f"trades:*:{listing.token}", f"contract:anvil:{listing.market}"],
            [f"token:anvil:{other.token}" for other in miner.market.listings],
        ]
    )


def expected_ids(events: list[Expected], topics: list[str]) -> list[str]:
    """Return the ids of the events that a subscriber of topics should receive."""
    subscribed = {topic.lower() for topic in topics}
    return [e.id for e in events if any(form in subscribed for topic in e.topics for form in wildcard_forms(topic))]


async def test_every_client_gets_exactly_the_events_of_its_topics_in_order(stack: LocalStack) -> None:
    # This test uses its own tokens, because those of other tests may have graduated, and no longer trade.
    miner = Miner(stack.node, Market(stack.node, seed=9))
    miner.create_tokens(5)
    dice = random.Random(3)
    url = stack.outputs.websocket_url
    async with AsyncExitStack() as exit_stack:
        clients = [await exit_stack.enter_async_context(Client(url)) for _ in range(CLIENTS)]
        subscriptions = [choose_topics(miner, dice) for _ in clients]
        for client, topics in zip(clients, subscriptions, strict=True):
            await client.message("connected")
            await client.subscribe(*topics)
        first, last = await asyncio.to_thread(miner.blocks, BLOCKS, 4)
        await asyncio.to_thread(miner.create_tokens, 1)  # the last events: one for all topics except trades, …
        await asyncio.to_thread(miner.block, 8)  # … and some for topics of trades
        last = miner.node.block_number()
        events = miner.expected(first, last)
        assert len(events) > BLOCKS * 2
        for client, topics in zip(clients, subscriptions, strict=True):
            ids = expected_ids(events, topics)
            assert ids
            await client.until_event(ids[-1])
            # Events of the block that created the tokens may arrive after the subscription, too.
            assert of_logs(e["id"] for e in client.events if e["block"] >= first) == ids
            assert client.cursors == sorted(set(client.cursors))
