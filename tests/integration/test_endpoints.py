"""Endpoints that misbehave as providers do: real sockets, a scripted JSON-RPC server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic

import pytest
from eth_abi.abi import encode

from chaincast.errors import SourceError, WrongChain
from listener.sources import multicall
from listener.sources.base import Block, LogFilter
from listener.sources.evm import EvmSource
from listener.sources.failover import Failover
from listener.sources.faults import BlockUnavailable, NoResponse, RangeTooLarge, Throttled
from listener.sources.rpc import Rpc
from tests.integration.helpers import closing
from tests.simulation.chain import Chain, Entry, HttpStatus, Node, RpcError
from tests.simulation.rpc import RpcServer

ADDRESS = "0x" + "aa" * 20
TOPIC = b"\7" * 32
WANTED = [LogFilter((ADDRESS,), (TOPIC,))]
BLOCK_SECONDS = 1.0
SECONDS = 300.0


def entry(n: int = 0) -> Entry:
    return (ADDRESS, [TOPIC, n.to_bytes(32, "big")], b"data")


@dataclass
class Stage:
    """A chain, its nodes, and a source over endpoints of them."""

    chain: Chain
    nodes: dict[str, Node]
    server: RpcServer
    changes: list[str] = field(default_factory=list)

    def one(
        self, name: str = "a", *, push: bool = False, block_seconds: float = BLOCK_SECONDS, **fields: bool
    ) -> EvmSource:
        url = self.server.ws(name) if push else self.server.http(name)
        return EvmSource(Rpc(url), 1337, block_seconds, 0.05, **fields)

    def all(self, *, push: bool = False, block_seconds: float = BLOCK_SECONDS) -> Failover:
        """Return all endpoints as one source. `block_seconds`: time-outs are derived from it."""
        sources = [(name, self.one(name, push=push, block_seconds=block_seconds)) for name in self.nodes]
        return Failover(sources, block_seconds, self.changes.append)

    async def grow(self, seconds: float = 0.1) -> None:
        """Mine and announce blocks until cancelled."""
        while True:
            self.chain.mine(entry())
            await self.server.announce()
            await asyncio.sleep(seconds)


@asynccontextmanager
async def staged(*names: str) -> AsyncIterator[Stage]:
    chain = Chain()
    for n in range(5):
        chain.mine(entry(n))
    nodes = {name: Node(chain) for name in names or ("a",)}
    async with RpcServer(nodes) as server:
        yield Stage(chain, nodes, server)


def told(blocks: Sequence[Block]) -> list[tuple[int, int]]:
    return [(block.number, len(block.logs)) for block in blocks]


EVERYTHING = [(n, 1) for n in range(1, 6)]


@pytest.mark.parametrize("push", [False, True], ids=["http", "ws"])
async def test_logs_that_are_not_there_yet_are_noticed_by_the_bloom_and_waited_for(push: bool) -> None:
    async with staged() as stage, closing(stage.one(push=push)) as source:
        # The block is announced, its logs are not there: neither by range nor by hash.
        stage.nodes["a"].script["eth_getLogs"].extend(["empty", "empty"])
        with pytest.raises(BlockUnavailable, match="bloom"):
            await source.blocks(5, 5, WANTED, linked=True)
        # Now by hash only.
        stage.nodes["a"].script["eth_getLogs"].append("empty")
        assert told(await source.blocks(5, 5, WANTED, linked=True)) == [(5, 1)]


async def test_a_bloom_that_only_seems_to_match_costs_one_question_and_no_error() -> None:
    async with staged() as stage, closing(stage.one()) as source:
        other = LogFilter((ADDRESS,), (b"\1" * 32, TOPIC))
        stage.chain.mine((ADDRESS, [TOPIC], b""))
        absent = LogFilter((ADDRESS,), (b"\1" * 32,))
        assert told(await source.blocks(6, 6, [absent], linked=True)) == [(6, 0)]
        assert told(await source.blocks(6, 6, [other], linked=True)) == [(6, 1)]


async def test_a_bloom_so_full_that_it_matches_everything_is_not_worth_all_logs_of_its_block() -> None:
    async with staged() as stage, closing(stage.one()) as source:
        crowd: list[Entry] = [("0x" + "bb" * 20, [n.to_bytes(32, "big")], b"") for n in range(1500)]
        stage.chain.mine(*crowd, entry())
        node = stage.nodes["a"]
        node.script["eth_getLogs"].append("empty")
        assert told(await source.blocks(6, 6, WANTED, linked=True)) == [(6, 1)]
        assert [p[0].get("address") for method, p in node.calls if method == "eth_getLogs"] == [[ADDRESS]] * 2
        node.script["eth_getLogs"].extend(["empty", RpcError(-32000, "unknown block")])
        with pytest.raises(BlockUnavailable, match="unknown block"):
            await source.blocks(6, 6, WANTED, linked=True)


async def test_blooms_can_be_left_unread() -> None:
    async with staged() as stage, closing(stage.one(check_blooms=False)) as source:
        stage.nodes["a"].script["eth_getLogs"].append("empty")
        assert told(await source.blocks(5, 5, WANTED, linked=True)) == [(5, 0)]


async def test_a_block_that_is_null_is_not_there_yet() -> None:
    async with staged() as stage, closing(stage.one()) as source:
        stage.nodes["a"].script["eth_getBlockByNumber"].append("null")
        with pytest.raises(BlockUnavailable, match="announced block 5"):
            await source.header(5)


async def test_a_range_that_is_too_large_says_so_by_message_by_status_and_by_silence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("listener.sources.evm.RANGE_TIMEOUT_SECONDS", 0.2)
    async with staged() as stage, closing(stage.one()) as source:
        node = stage.nodes["a"]
        node.max_range = 2
        with pytest.raises(RangeTooLarge):
            await source.blocks(1, 5, WANTED, linked=False)
        node.max_range = None
        for step in (HttpStatus(413), "hang", HttpStatus(400, body=b'{"error":{"message":"block range is too wide"}}')):
            node.script["eth_getLogs"].append(step)
            with pytest.raises(RangeTooLarge):
                await source.blocks(1, 5, WANTED, linked=False)
        assert told(await source.blocks(1, 5, WANTED, linked=False)) == EVERYTHING


async def test_a_single_block_with_too_many_logs_is_read_from_its_receipts() -> None:
    async with staged() as stage, closing(stage.one()) as source:
        stage.chain.mine(*(entry(n) for n in range(20)), ("0x" + "bb" * 20, [TOPIC], b""))
        stage.nodes["a"].max_results = 10
        for linked in (True, False):
            assert told(await source.blocks(6, 6, WANTED, linked=linked)) == [(6, 20)]


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        (HttpStatus(429, {"Retry-After": "3"}), Throttled),
        (RpcError(-32005, "limit exceeded"), Throttled),
        (HttpStatus(502, body=b"<html>Bad Gateway</html>"), SourceError),
        (HttpStatus(200, body=b"not JSON"), SourceError),
        (HttpStatus(200, body=b'{"jsonrpc":"2.0","id":1}'), SourceError),
        ("drop", SourceError),
        ("hang", NoResponse),
    ],
)
async def test_whatever_a_provider_does_is_a_named_error_and_the_next_call_works(
    step: HttpStatus | RpcError | str, kind: type[SourceError]
) -> None:
    async with staged() as stage, closing(stage.one()) as source:
        await source.head()
        stage.nodes["a"].script["eth_blockNumber"].append(step)
        with pytest.raises(SourceError) as caught:
            await source.head()
        assert type(caught.value) is kind
        assert "127.0.0.1" in str(caught.value)
        if isinstance(step, HttpStatus) and step.headers:
            assert getattr(caught.value, "retry_after", None) == 3.0
        assert await source.head() == 5


@pytest.mark.parametrize("result", [b"null", b'"0xzz"', b"[null]", b"17"])
@pytest.mark.parametrize("method", ["eth_blockNumber", "eth_getLogs", "eth_getBlockByNumber"])
async def test_an_answer_of_the_wrong_shape_is_an_error_and_no_crash(method: str, result: bytes) -> None:
    async with staged() as stage:
        source = stage.all()
        await source.head()
        answer = HttpStatus(200, body=b'{"jsonrpc":"2.0","id":1,"result":%b}' % result)
        stage.nodes["a"].script[method].append(answer)
        with pytest.raises(SourceError, match=r"unexpected shape|does not have it yet"):
            await asyncio.gather(source.head(), source.blocks(5, 5, WANTED, linked=True))
        assert told(await source.blocks(5, 5, WANTED, linked=True)) == [(5, 1)]
        await source.close()


async def test_answers_of_two_nodes_behind_one_address_are_not_mixed() -> None:
    """A load balancer: the header is of one branch, the logs are of another."""
    async with staged() as stage, closing(stage.one()) as source:
        node = stage.nodes["a"]
        stale = Node(stage.chain)
        stale.freeze()
        stage.chain.reorganise(2, [entry(7)], [entry(8)])
        answers = node.answer

        def balanced(method: str, params: Sequence[object], step: str | None = None) -> object:
            return stale.answer(method, params) if method == "eth_getLogs" else answers(method, params, step)

        node.answer = balanced  # type: ignore[method-assign]  # a balancer in front of two nodes
        with pytest.raises(BlockUnavailable, match="logs of block"):
            await source.blocks(4, 5, WANTED, linked=True)


async def test_contracts_answer_or_revert() -> None:
    async with staged() as stage, closing(stage.one()) as source:
        stage.nodes["a"].answers[ADDRESS, "0xcafe"] = b"answer"
        assert await source.read([(ADDRESS, b"\xca\xfe"), (ADDRESS, b"\xff")]) == [b"answer", None]
        many = [(ADDRESS, b"\xca\xfe"), (ADDRESS, b"\xff")] * 5
        assert await source.read(many) == [b"answer", None] * 5  # no Multicall3 here: one by one
        stage.nodes["a"].script["eth_call"].append(HttpStatus(502))
        with pytest.raises(SourceError, match="502"):
            await source.read([(ADDRESS, b"\xca\xfe")])


async def test_many_contracts_are_asked_in_one_question_and_again_alone_where_one_spoils_it() -> None:
    async with staged() as stage, closing(stage.one()) as source:
        node = stage.nodes["a"]
        calls = [(ADDRESS, bytes([n])) for n in range(10)]
        results = [(n < 7, bytes([n, n])) for n in range(10)]  # the last three were left without gas
        together = encode(["(bool,bytes)[]"], [results])
        node.answers[multicall.ADDRESS, "0x" + multicall.encode_calls(calls).hex()] = together
        node.answers[ADDRESS, "0x08"] = b"alone"
        found = await source.read(calls)
        assert found == [*(bytes([n, n]) for n in range(7)), None, b"alone", None]
        assert [method for method, _ in node.calls].count("eth_call") == 4


async def follow(source: Failover, stage: Stage, done: int, upto: int) -> float:
    """Read on until the head is at `upto`; the longest time without a new head."""
    longest, last = 0.0, monotonic()
    async with asyncio.timeout(SECONDS):
        while done < upto:
            try:
                head = await source.head_after(done)
                if head > done:
                    await source.blocks(done + 1, head, WANTED, linked=True)
                    longest, last, done = max(longest, monotonic() - last), monotonic(), head
            except SourceError:
                await asyncio.sleep(0.02)
    return longest


@asynccontextmanager
async def growing(stage: Stage, source: Failover) -> AsyncIterator[None]:
    """Blocks come ten times as fast as the source believes: its patience is what is measured."""
    task = asyncio.create_task(stage.grow())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await source.close()


@pytest.mark.parametrize("fault", ["silent", "errors", "hangs", "behind", "drops"])
async def test_another_endpoint_takes_over(fault: str) -> None:
    async with staged("a", "b") as stage:
        source = stage.all(push=True)
        async with growing(stage, source):
            await follow(source, stage, 5, 10)
            assert source.active == "a"
            bad = stage.nodes["a"]
            match fault:
                case "silent":  # the connection stays, and answers no question either
                    bad.silent = True
                    bad.script["eth_blockNumber"].extend(["hang"] * 50)
                case "errors":
                    stage.server.fail("a")
                    await stage.server.drop("a")
                case "hangs":
                    bad.script["eth_getLogs"].extend(["hang"] * 50)
                    bad.script["eth_getBlockByNumber"].extend(["hang"] * 500)
                case "behind":
                    bad.freeze()
                case "drops":
                    bad.script["eth_getLogs"].extend(["drop"] * 50)
            longest = await follow(source, stage, stage.chain.head, stage.chain.head + 15)
            assert "b" in stage.changes
            print(f"{fault}: {longest / BLOCK_SECONDS:.2f} block times without a block")


async def test_the_first_is_come_back_to_when_it_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("listener.sources.failover._PROBE_SECONDS", 0.1)
    monkeypatch.setattr("listener.sources.endpoint_health.HALF_LIFE_SECONDS", 0.3)
    async with staged("a", "b") as stage:
        source = stage.all()
        source._block_seconds = 0.05
        async with growing(stage, source):
            stage.server.fail("a")
            await follow(source, stage, 5, 12)
            assert source.active == "b"
            stage.server.mend("a")
            async with asyncio.timeout(SECONDS):
                while source.active != "a":
                    await follow(source, stage, stage.chain.head, stage.chain.head + 1)
    assert stage.changes[-1] == "a"


async def test_an_endpoint_that_asks_for_time_is_left_alone_and_nobody_waits() -> None:
    async with staged("a", "b") as stage:
        source = stage.all()
        async with growing(stage, source):
            await follow(source, stage, 5, 8)
            stage.nodes["a"].script["eth_getLogs"].append(HttpStatus(429, {"Retry-After": "60"}))
            await follow(source, stage, stage.chain.head, stage.chain.head + 3)
            assert source.active == "b"
            asked = len(stage.nodes["a"].calls)
            await follow(source, stage, stage.chain.head, stage.chain.head + 3)
            assert len(stage.nodes["a"].calls) == asked


@pytest.mark.parametrize("wrong", ["a", "b"])
async def test_an_endpoint_of_another_chain_is_refused_at_the_start_whichever_it_is(wrong: str) -> None:
    async with staged("a", "b") as stage:
        stage.nodes[wrong].chain_id = 56
        source = stage.all()
        with pytest.raises(WrongChain, match="serves chain 56, the configuration says 1337"):
            await source.head()
        await source.close()


async def test_all_endpoints_down_is_an_error_and_they_are_tried_again() -> None:
    async with staged("a", "b") as stage:
        source = stage.all(block_seconds=SECONDS)  # so long that a busy machine causes no time-out
        for name in "ab":
            stage.server.fail(name)
        for _ in range(3):
            with pytest.raises(SourceError, match="500"):
                await source.head()
        stage.server.mend("b")
        assert await source.head() == 5
        await source.close()


async def test_a_resting_chain_is_no_fault_of_the_endpoint() -> None:
    async with staged("a", "b") as stage:
        source = stage.all(push=True)
        source._stall_seconds = source._max_wait = 0.05
        for _ in range(5):
            assert await source.head_after(5) == 5
        assert stage.changes == []
        await source.close()
