"""Source of an EVM chain through one JSON-RPC endpoint: its head, its blocks with their logs, its contracts' state."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from itertools import pairwise
from time import monotonic
from typing import Any, Protocol, TypeAlias, cast

from chaincast.errors import SourceError, WrongChain
from listener.sources import multicall
from listener.sources.base import Block, LogFilter, RawLog
from listener.sources.bloom import compute_bloom, false_positive_rate, may_match
from listener.sources.faults import BlockUnavailable, NoResponse, RangeTooLarge, Reverted
from listener.sources.poll_schedule import PollSchedule

Document: TypeAlias = dict[str, Any]  # a JSON-RPC result, whose members are checked where they are read

RANGE_TIMEOUT_SECONDS = 20.0
MULTICALL_THRESHOLD = 4
"""Minimum number of contract calls that are combined into one request."""

MAX_FALSE_POSITIVE_RATE = 0.05
"""Maximum probability of an accidental bloom match at which all logs of a block are requested to verify its bloom.

On a busy chain, these are half a megabyte.
"""

MAX_CONCURRENT_REQUESTS = 16
"""Maximum number of concurrent requests, because many providers refuse more from one client."""


class Endpoint(Protocol):
    """The interface of `Rpc` that `EvmSource` uses. Tests replace it."""

    pushes: bool
    name: str
    pushed_head: int
    head_pushed: asyncio.Event
    subscription_ended: bool

    @property
    def connected(self) -> bool: ...
    async def connect(self) -> None: ...
    async def close(self) -> None: ...
    async def subscribe_heads(self, within: float) -> None: ...
    async def call(self, method: str, *params: object, within: float) -> object: ...


class EvmSource:
    """Source of an EVM chain through one endpoint.

    `block_seconds` is the chain's block time. `poll_seconds` is the interval between two polls of the head; 0 derives
    it from the chain's pace. `check_blooms` must be False for chains whose headers have no correct logs blooms.
    """

    def __init__(
        self, rpc: Endpoint, chain_id: int, block_seconds: float, poll_seconds: float = 0, *, check_blooms: bool = True
    ) -> None:
        self.rpc = rpc
        self._chain_id = chain_id
        self._checked = False
        self._timeout = min(max(block_seconds, 0.5), 10.0)
        """Timeout in seconds of quick requests. It is short, to leave a silent node before two blocks have passed."""
        self._poll_seconds = poll_seconds
        self._schedule = PollSchedule(block_seconds)
        self._check_blooms = check_blooms
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_REQUESTS)
        self._head = -1

    async def close(self) -> None:
        self._checked = False
        await self.rpc.close()

    async def head(self) -> int:
        self._observe_head(int(cast(str, await self._call("eth_blockNumber")), 16))
        return self._head

    async def head_after(self, block: int, max_wait: float = 5.0) -> int:
        """Wait until the head is beyond `block`, at most `max_wait` seconds, and return the head."""
        until = monotonic() + max_wait
        if self.rpc.pushes:
            await self._ready()
            await self.rpc.subscribe_heads(self._timeout)
            while (head := max(self._head, self.rpc.pushed_head)) <= block and (left := until - monotonic()) > 0:
                self.rpc.head_pushed.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(left):
                        await self.rpc.head_pushed.wait()
                if self.rpc.subscription_ended:
                    await self.close()
                    raise SourceError(f"{self.rpc.name}: closed its subscription to new heads")
            self._observe_head(head)
            # If nothing was pushed, the caller polls all endpoints: a subscription may end without notice.
            return self._head
        while await self._poll_beyond(block) <= block and (left := until - monotonic()) > 0:  # noqa: ASYNC110 - no push
            await asyncio.sleep(min(left, self._poll_seconds or self._schedule.seconds_to_next_poll(monotonic())))
        return self._head

    async def _poll_beyond(self, block: int) -> int:
        return self._head if self._head > block else await self.head()

    def _observe_head(self, head: int) -> None:
        self._head = max(self._head, head)
        self._schedule.observe_head(head, monotonic())

    def reset_head(self) -> None:
        """Discard the known head, because another node contradicted it."""
        self._head = self.rpc.pushed_head = -1

    async def header(self, number: int) -> Block:
        return make_block(await self._header(number), [])

    async def blocks(self, first: int, last: int, wanted: Sequence[LogFilter], *, linked: bool) -> list[Block]:
        ends = list(range(first, last + 1)) if linked else sorted({first, last})
        logs, headers = await asyncio.gather(self._logs(first, last, wanted), asyncio.gather(*map(self._header, ends)))
        by_number = dict(zip(ends, headers, strict=True))
        missing = [number for number in logs if number not in by_number]
        by_number |= dict(zip(missing, await asyncio.gather(*map(self._header, missing)), strict=True))
        blocks = [make_block(by_number[n], logs.get(n, [])) for n in sorted(by_number)]
        if linked:
            check_links(blocks)
            if self._check_blooms:
                verified = (self._verify_logs(block, by_number[block.number], wanted) for block in blocks)
                blocks = list(await asyncio.gather(*verified))
        return blocks

    async def read(self, calls: Sequence[tuple[str, bytes]]) -> list[bytes | None]:
        if len(calls) < MULTICALL_THRESHOLD:
            return list(await asyncio.gather(*(self._read(call) for call in calls)))
        starts = range(0, len(calls), multicall.MAX_CALLS)
        chunks = [calls[start : start + multicall.MAX_CALLS] for start in starts]
        results = await asyncio.gather(*map(self._read_together, chunks))
        return [result for chunk in results for result in chunk]

    async def _read_together(self, calls: Sequence[tuple[str, bytes]]) -> list[bytes | None]:
        response = await self._read((multicall.ADDRESS, multicall.encode_calls(calls)))
        results = (response and multicall.decode_results(response, len(calls))) or [None] * len(calls)
        # A call that uses up all gas makes the calls after it fail, so each failed call is repeated alone.
        failed = [index for index, result in enumerate(results) if result is None]
        repeated = await asyncio.gather(*(self._read(calls[index]) for index in failed))
        for index, result in zip(failed, repeated, strict=True):
            results[index] = result
        return results

    async def _read(self, call: tuple[str, bytes]) -> bytes | None:
        address, data = call
        try:
            result = await self._call("eth_call", {"to": address, "data": "0x" + data.hex()}, "latest")
        except Reverted:
            return None
        return bytes.fromhex(cast(str, result)[2:])

    async def _logs(self, first: int, last: int, wanted: Sequence[LogFilter]) -> dict[int, list[Document]]:
        """Return the matching logs by block number. A log that matches several filters is included once."""
        logs: dict[tuple[int, int], Document] = {}
        try:
            results = await asyncio.gather(
                *(
                    self._call("eth_getLogs", _range(first, last) | _conditions(filter_), within=RANGE_TIMEOUT_SECONDS)
                    for filter_ in wanted
                )
            )
        except (RangeTooLarge, NoResponse) as error:
            if first != last:
                raise error if isinstance(error, RangeTooLarge) else RangeTooLarge(str(error)) from error
            results = [await self._logs_of_receipts(first, wanted)]
        for log in (log for result in results for log in cast(list[Document], result)):
            logs[int(log["blockNumber"], 16), int(log["logIndex"], 16)] = log
        by_block: dict[int, list[Document]] = {}
        for number, index in sorted(logs):
            by_block.setdefault(number, []).append(logs[number, index])
        return by_block

    async def _logs_of_receipts(self, number: int, wanted: Sequence[LogFilter]) -> list[Document]:
        """Return the matching logs of one block with more logs than the provider returns for `eth_getLogs`."""
        receipts = await self._call("eth_getBlockReceipts", hex(number), within=RANGE_TIMEOUT_SECONDS)
        logs = [log for receipt in cast(list[Document], receipts) for log in receipt["logs"]]
        return [log for log in logs if any(matches(raw_log(log), filter_) for filter_ in wanted)]

    async def _verify_logs(self, block: Block, header: Document, wanted: Sequence[LogFilter]) -> Block:
        """Return the block with all its matching logs, even if the node announced the block before it had them.

        If the header's bloom cannot match, the block has no such logs. If it can, the bloom is compared to all logs of
        the block. If the bloom is so full that it matches nearly every filter, the logs are requested once more, by
        block hash: a node that does not have the block refuses this instead of returning no logs. Raise
        `BlockUnavailable` if logs are missing.
        """
        bloom = int(header["logsBloom"], 16)
        matching = [filter_ for filter_ in wanted if may_match(bloom, filter_)]
        if block.logs or not matching:
            return block
        conclusive = min(false_positive_rate(bloom, filter_) for filter_ in matching) < MAX_FALSE_POSITIVE_RATE
        queries = [{}] if conclusive else [_conditions(filter_) for filter_ in matching]
        results = await asyncio.gather(
            *(
                self._call("eth_getLogs", {"blockHash": block.hash} | query, within=RANGE_TIMEOUT_SECONDS)
                for query in queries
            )
        )
        logs = {log["logIndex"]: raw_log(log) for result in results for log in cast(list[Document], result)}
        if conclusive and compute_bloom(logs.values()) != bloom:
            raise BlockUnavailable(
                f"{self.rpc.name}: the logs of block {block.number} do not match the bloom of its header: some are "
                "still missing; if this persists, the chain's blooms are not correct: set check_blooms = false"
            )
        complete = sorted(
            (log for log in logs.values() if any(matches(log, filter_) for filter_ in wanted)),
            key=lambda log: log.log_index,
        )
        return Block(block.number, block.hash, block.parent_hash, block.timestamp, tuple(complete))

    async def _header(self, number: int) -> Document:
        header = await self._call("eth_getBlockByNumber", hex(number), False)
        if header is None:
            raise BlockUnavailable(f"{self.rpc.name}: announced block {number} but does not have it yet")
        return cast(Document, header)

    async def _ready(self) -> None:
        """Connect, and check that the node serves the configured chain. Raise `WrongChain`."""
        await self.rpc.connect()
        if self._checked:
            return
        chain_id = int(cast(str, await self.rpc.call("eth_chainId", within=max(self._timeout, 2.0))), 16)
        if chain_id != self._chain_id:
            raise WrongChain(f"{self.rpc.name} serves chain {chain_id}, the configuration says {self._chain_id}")
        self._checked = True

    async def _call(self, method: str, *params: object, within: float | None = None) -> object:
        async with self._slots:
            await self._ready()
            try:
                return await self.rpc.call(method, *params, within=within or self._timeout)
            except SourceError:
                self._checked = self._checked and self.rpc.connected
                raise


def raw_log(log: Document) -> RawLog:
    """Return the `RawLog` of a log in JSON-RPC form."""
    return RawLog(
        address=log["address"].lower(),
        topics=tuple(bytes.fromhex(t[2:]) for t in log["topics"]),
        data=bytes.fromhex(log["data"][2:]),
        log_index=int(log["logIndex"], 16),
        tx_hash=log["transactionHash"],
    )


def make_block(header: Document, logs: list[Document]) -> Block:
    """Return a block with its logs, in log order. Raise `BlockUnavailable` if they are of different blocks."""
    for log in logs:
        if log["blockHash"] != header["hash"]:
            raise BlockUnavailable(
                f"logs of block {int(header['number'], 16)} belong to {log['blockHash']}, "
                f"but its header is {header['hash']}"
            )
    return Block(
        number=int(header["number"], 16),
        hash=header["hash"],
        parent_hash=header["parentHash"],
        timestamp=int(header["timestamp"], 16),
        logs=tuple(raw_log(log) for log in logs),
    )


def check_links(blocks: Sequence[Block]) -> None:
    """Raise `BlockUnavailable` unless each block is the parent of the next."""
    for before, after in pairwise(blocks):
        if after.parent_hash != before.hash:
            raise BlockUnavailable(
                f"block {after.number} has parent {after.parent_hash}, but block {before.number} is {before.hash}: "
                "the node reorganised its chain between the requests"
            )


def _range(first: int, last: int) -> Document:
    return {"fromBlock": hex(first), "toBlock": hex(last)}


def _conditions(wanted: LogFilter) -> Document:
    conditions: Document = {}
    if wanted.addresses:
        conditions["address"] = list(wanted.addresses)
    if wanted.topics0:
        conditions["topics"] = [["0x" + t.hex() for t in wanted.topics0]]
    return conditions


def matches(log: RawLog, wanted: LogFilter) -> bool:
    """Return True if the log matches the filter."""
    return (not wanted.addresses or log.address in wanted.addresses) and (
        not wanted.topics0 or (bool(log.topics) and log.topics[0] in wanted.topics0)
    )
