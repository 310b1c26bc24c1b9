"""The Stacks source against an API that answers as its documentation shows, through the whole listener."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from chaincast.config.load import parse
from chaincast.errors import SourceError, WrongChain
from listener.sources.base import LogFilter
from listener.sources.faults import BlockUnavailable, Throttled
from listener.sources.stacks import PAGE_SIZE, StacksSource
from listener.wiring import make_follower
from tests.integration.helpers import closing, folded, logged, until
from tests.unit.listener.test_clarity import CATS, LISTED, LISTED_HEX, LISTED_REPR

WANTED = [LogFilter((CATS,))]
OTHER = "SP000000000000000000002Q6VF78.other"


@dataclass
class Api:
    """Blocks by height; each a list of transactions, each a list of what was printed: (contract, hex)."""

    blocks: list[list[list[tuple[str, str]]]] = field(default_factory=lambda: [[]])
    branch: str = "00"
    branches: list[str] = field(default_factory=lambda: ["00"])
    network_id: int = 1
    status: int = 200
    orphaned: set[str] = field(default_factory=set)
    paths: list[str] = field(default_factory=list)
    url: str = ""

    def mine(self, *transactions: list[tuple[str, str]]) -> None:
        self.blocks.append(list(transactions))
        self.branches.append(self.branch)

    def fork(self, depth: int) -> None:
        """Take blocks back; what is mined from now on is another branch."""
        del self.blocks[-depth:], self.branches[-depth:]
        self.branch = f"{int(self.branch, 16) + 1:02x}"

    def index_hash(self, height: int) -> str:
        return f"0x{self.branches[height]}{height:062x}"

    def block(self, height: int) -> dict[str, Any]:
        return {
            "canonical": True,
            "height": height,
            "hash": f"0xb{self.branches[height]}{height:061x}",
            "block_time": 1_700_000_000 + height,
            "index_block_hash": self.index_hash(height),
            "parent_index_block_hash": self.index_hash(height - 1) if height else "0x" + "00" * 32,
            "burn_block_time": 1_700_000_000,
            "tx_count": len(self.blocks[height]),
        }

    def transactions(self, height: int) -> list[dict[str, Any]]:
        found = []
        for index, prints in enumerate(self.blocks[height]):
            tx_id = f"0x{self.branches[height]}{height:030x}{index:032x}"
            found.append(
                {
                    "tx_id": tx_id,
                    "tx_index": index,
                    "tx_status": "success",
                    "canonical": True,
                    "microblock_canonical": tx_id not in self.orphaned,
                    "event_count": 2 * len(prints),
                }
            )
        return found

    def events(self, tx_id: str) -> list[dict[str, Any]]:
        """Each print follows a transfer, which is no print."""
        height, index = int(tx_id[4:34], 16), int(tx_id[34:], 16)
        found: list[dict[str, Any]] = []
        for contract, hex_ in self.blocks[height][index]:
            found.append({"event_index": len(found), "event_type": "stx_asset", "tx_id": tx_id, "asset": {}})
            said = {"contract_id": contract, "topic": "print", "value": {"hex": hex_, "repr": LISTED_REPR}}
            found.append(
                {"event_index": len(found), "event_type": "smart_contract_log", "tx_id": tx_id, "contract_log": said}
            )
        return found

    async def answer(self, request: web.Request) -> web.Response:
        self.paths.append(request.path)
        if self.status != 200:
            return web.Response(status=self.status, headers={"Retry-After": "2"})
        if request.path == "/v2/info":
            return web.json_response({"network_id": self.network_id, "stacks_tip_height": len(self.blocks) - 1})
        offset, limit = int(request.query.get("offset", 0)), int(request.query.get("limit", 20))
        if request.path == "/extended/v1/tx/events":
            page = self.events(request.query["tx_id"])[offset : offset + limit]
            return web.json_response({"limit": limit, "offset": offset, "events": page})
        found = re.fullmatch(r"/extended/v2/blocks/([^/]+)(/transactions)?", request.path)
        assert found is not None
        which = found.group(1)
        heights = {self.block(h)["hash"]: h for h in range(len(self.blocks))} | {"latest": len(self.blocks) - 1}
        height = heights.get(which, int(which) if which.isdigit() else -1)
        if not 0 <= height < len(self.blocks):
            return web.json_response({"error": "Block not found"}, status=404)
        if found.group(2) is None:
            return web.json_response(self.block(height))
        page = self.transactions(height)[offset : offset + limit]
        return web.json_response({"limit": limit, "offset": offset, "total": 0, "results": page})


@asynccontextmanager
async def serving() -> AsyncIterator[Api]:
    api = Api()
    app = web.Application()
    app.router.add_get("/{path:.*}", api.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    api.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield api
    finally:
        await runner.cleanup()


def opened(api: Api) -> AbstractAsyncContextManager[StacksSource]:
    return closing(StacksSource(api.url, 1, 0.2, 0.02))


async def test_prints_come_in_order_with_places_that_count_all_events() -> None:
    async with serving() as api, opened(api) as source:
        api.mine([(OTHER, "0x03"), (CATS, LISTED_HEX)], [], [(CATS, "0x03")])
        api.mine()
        blocks = await source.blocks(1, 2, WANTED, linked=True)
        assert [[(log.address, log.log_index) for log in block.logs] for block in blocks] == [
            [(CATS, 3), (CATS, 5)],
            [],
        ]
        assert blocks[1].parent_hash == blocks[0].hash


async def test_a_value_that_the_api_gives_as_text_only_is_passed_on_as_such() -> None:
    async with serving() as api, opened(api) as source:
        api.mine([(CATS, "")])
        (block,) = await source.blocks(1, 1, WANTED, linked=True)
        assert [(log.topics, log.data) for log in block.logs] == [((b"print", b"repr"), LISTED_REPR.encode())]


async def test_long_blocks_are_read_page_by_page() -> None:
    async with serving() as api, opened(api) as source:
        api.mine(*([(CATS, "0x03")] for _ in range(PAGE_SIZE + 3)))
        api.mine([(CATS, "0x03")] * PAGE_SIZE)
        first, second = await source.blocks(1, 2, WANTED, linked=True)
        assert len(first.logs) == PAGE_SIZE + 3
        assert len(second.logs) == PAGE_SIZE


async def test_transactions_of_orphaned_microblocks_are_in_no_block() -> None:
    async with serving() as api, opened(api) as source:
        api.mine([(CATS, "0x03")], [(CATS, "0x04")])
        api.orphaned.add(api.transactions(1)[0]["tx_id"])
        (block,) = await source.blocks(1, 1, WANTED, linked=True)
        assert [log.data for log in block.logs] == [b"\x04"]


async def test_what_the_api_does_wrong_is_a_named_error() -> None:
    async with serving() as api, opened(api) as source:
        assert await source.head() == 0
        with pytest.raises(BlockUnavailable):
            await source.header(7)
        api.status = 429
        with pytest.raises(Throttled) as caught:
            await source.head()
        assert caught.value.retry_after == 2.0
        api.status = 500
        with pytest.raises(SourceError, match="500"):
            await source.head()


async def test_another_network_is_refused() -> None:
    async with serving() as api, opened(api) as source:
        api.network_id = 2147483648
        with pytest.raises(WrongChain, match="serves chain 2147483648, the configuration says 1"):
            await source.head()


def expected(api: Api) -> list[str]:
    return [
        f"stacks-mainnet:{height}:{api.branches[height]}{0:06x}:{2 * place + 1}"
        for height, transactions in enumerate(api.blocks)
        for place, _ in enumerate(p for prints in transactions for p in prints)
    ]


async def test_a_contracts_prints_are_events_and_a_fork_takes_them_back() -> None:
    async with serving() as api:
        config = parse(f"""
[networks.stacks-mainnet]
rpc_url = "{api.url}"
start_block = 1
poll_ms = 20
block_ms = 200
[[networks.stacks-mainnet.contracts]]
adapter = "abi"
address = "{CATS}"
""")
        network = config.networks["stacks-mainnet"]
        follower = make_follower(config, "stacks-mainnet", network, lambda: None)
        for _ in range(4):
            api.mine([(CATS, LISTED_HEX)])
        running = asyncio.create_task(follower.run())
        await until(lambda: folded(logged()) == expected(api))
        api.fork(2)
        for _ in range(3):
            api.mine([(CATS, LISTED_HEX)], [(CATS, LISTED_HEX)])
        await until(lambda: folded(logged()) == expected(api))
        follower.stop()
        await running
        event = logged()[0].events[0]
        assert (event.kind, event.data, event.contract) == (
            "contract.event",
            {"event": "list-in-ustx", "args": LISTED},
            CATS,
        )
        assert any(batch.retracted for batch in logged())
