"""An EVM chain through one endpoint: its head, its blocks with their logs, what its contracts answer."""

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
from listener.sources.bloom import bloom_of, chance, may_match
from listener.sources.cadence import Cadence
from listener.sources.faults import NoAnswer, NotThere, RangeTooLarge, Reverted

Document: TypeAlias = dict[str, Any]  # a JSON-RPC result, whose members are checked where they are read

RANGE_TIMEOUT = 20.0
FEW = 4
"""Questions to contracts that are asked one by one; more are asked together."""

ACCIDENT = 0.05
"""Chance of an accidental match up to which all logs of a block are asked for: a busy chain's are half a megabyte."""

PARALLEL = 16
"""Requests under way at once; many providers refuse more from one client."""


class Endpoint(Protocol):
    """What an `Rpc` is to this."""

    pushes: bool
    name: str
    pushed_head: int
    head_came: asyncio.Event

    subscription_ended: bool

    @property
    def connected(self) -> bool: ...
    async def connect(self) -> None: ...
    async def close(self) -> None: ...
    async def subscribe_heads(self, within: float) -> None: ...
    async def call(self, method: str, *params: object, within: float) -> object: ...


class EvmSource:
    """`block_seconds`: the chain's block time. `poll_seconds`: how often to ask for the head; 0: as the chain's pace
    suggests. `check_blooms`: whether headers' blooms say truly which logs their blocks have."""

    def __init__(
        self, rpc: Endpoint, chain_id: int, block_seconds: float, poll_seconds: float = 0, *, check_blooms: bool = True
    ) -> None:
        self.rpc = rpc
        self._chain_id = chain_id
        self._checked = False
        self._timeout = min(max(block_seconds, 0.5), 10.0)
        """Of what takes a node no time, so that a silent one is given up before two blocks have passed."""
        self._poll_seconds = poll_seconds
        self._cadence = Cadence(block_seconds)
        self._check_blooms = check_blooms
        self._slots = asyncio.Semaphore(PARALLEL)
        self._head = -1

    async def close(self) -> None:
        self._checked = False
        await self.rpc.close()

    async def head(self) -> int:
        self._note(int(cast(str, await self._call("eth_blockNumber")), 16))
        return self._head

    async def head_after(self, block: int, patience: float = 5.0) -> int:
        """The head, once it is beyond `block` or so many seconds have passed."""
        until = monotonic() + patience
        if self.rpc.pushes:
            await self._ready()
            await self.rpc.subscribe_heads(self._timeout)
            while (head := max(self._head, self.rpc.pushed_head)) <= block and (left := until - monotonic()) > 0:
                self.rpc.head_came.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(left):
                        await self.rpc.head_came.wait()
                if self.rpc.subscription_ended:
                    await self.close()
                    raise SourceError(f"{self.rpc.name}: closed its subscription to new heads")
            self._note(head)
            return self._head  # after silence the caller asks: a subscription may end without a word
        while await self._newer(block) <= block and (left := until - monotonic()) > 0:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(min(left, self._poll_seconds or self._cadence.wait(monotonic())))
        return self._head

    async def _newer(self, block: int) -> int:
        return self._head if self._head > block else await self.head()

    def _note(self, head: int) -> None:
        self._head = max(self._head, head)
        self._cadence.head(head, monotonic())

    def forget_head(self) -> None:
        """What was said of the head is not to be relied on: another node says it was not so."""
        self._head = self.rpc.pushed_head = -1

    async def header(self, number: int) -> Block:
        return block_of(await self._header(number), [])

    async def blocks(self, first: int, last: int, wanted: Sequence[LogFilter], *, linked: bool) -> list[Block]:
        ends = list(range(first, last + 1)) if linked else sorted({first, last})
        logs, headers = await asyncio.gather(self._logs(first, last, wanted), asyncio.gather(*map(self._header, ends)))
        known = dict(zip(ends, headers, strict=True))
        missing = [number for number in logs if number not in known]
        known |= dict(zip(missing, await asyncio.gather(*map(self._header, missing)), strict=True))
        blocks = [block_of(known[n], logs.get(n, [])) for n in sorted(known)]
        if linked:
            check_links(blocks)
            if self._check_blooms:
                blocks = list(await asyncio.gather(*(self._completed(b, known[b.number], wanted) for b in blocks)))
        return blocks

    async def read(self, calls: Sequence[tuple[str, bytes]]) -> list[bytes | None]:
        if len(calls) < FEW:
            return list(await asyncio.gather(*(self._read(call) for call in calls)))
        chunks = [calls[start : start + multicall.AT_ONCE] for start in range(0, len(calls), multicall.AT_ONCE)]
        answers = await asyncio.gather(*map(self._read_together, chunks))
        return [answer for chunk in answers for answer in chunk]

    async def _read_together(self, calls: Sequence[tuple[str, bytes]]) -> list[bytes | None]:
        together = await self._read((multicall.ADDRESS, multicall.encode_calls(calls)))
        found = together and multicall.decode_answers(together, len(calls))
        # One that burns all gas lets those behind it fail: who failed is asked again, alone.
        again = [place for place in range(len(calls)) if not found or found[place] is None]
        alone = await asyncio.gather(*(self._read(calls[place]) for place in again))
        answers = found or [None] * len(calls)
        for place, answer in zip(again, alone, strict=True):
            answers[place] = answer
        return answers

    async def _read(self, call: tuple[str, bytes]) -> bytes | None:
        address, data = call
        try:
            answer = await self._call("eth_call", {"to": address, "data": "0x" + data.hex()}, "latest")
        except Reverted:
            return None  # a revert, in whatever words
        return bytes.fromhex(cast(str, answer)[2:])

    async def _logs(self, first: int, last: int, wanted: Sequence[LogFilter]) -> dict[int, list[Document]]:
        """By block; a log that several filters want, once."""
        found: dict[tuple[int, int], Document] = {}
        try:
            answers = await asyncio.gather(
                *(
                    self._call("eth_getLogs", _range(first, last) | _conditions(filter_), within=RANGE_TIMEOUT)
                    for filter_ in wanted
                )
            )
        except (RangeTooLarge, NoAnswer) as error:
            if first != last:
                raise error if isinstance(error, RangeTooLarge) else RangeTooLarge(str(error)) from error
            answers = [await self._logs_of_receipts(first, wanted)]
        for log in (log for answer in answers for log in cast(list[Document], answer)):
            found[int(log["blockNumber"], 16), int(log["logIndex"], 16)] = log
        by_block: dict[int, list[Document]] = {}
        for number, index in sorted(found):
            by_block.setdefault(number, []).append(found[number, index])
        return by_block

    async def _logs_of_receipts(self, number: int, wanted: Sequence[LogFilter]) -> list[Document]:
        """Of one block whose logs are more than the provider gives at once."""
        receipts = await self._call("eth_getBlockReceipts", hex(number), within=RANGE_TIMEOUT)
        logs = [log for receipt in cast(list[Document], receipts) for log in receipt["logs"]]
        return [log for log in logs if any(matches(raw_log(log), filter_) for filter_ in wanted)]

    async def _completed(self, block: Block, header: Document, wanted: Sequence[LogFilter]) -> Block:
        """The block, once it is sure that none of its logs are missing: a node may tell of a block before it has them.

        A bloom that cannot match says so at once. One that can is checked against all logs of the block. Where a bloom
        is so full that it matches nearly everything, the logs are asked for once more, by hash: a node that does not
        have the block refuses that, instead of saying that there are none.
        """
        bloom = int(header["logsBloom"], 16)
        matching = [filter_ for filter_ in wanted if may_match(bloom, filter_)]
        if block.logs or not matching:
            return block
        certain = min(chance(bloom, filter_) for filter_ in matching) < ACCIDENT
        questions = [{}] if certain else [_conditions(filter_) for filter_ in matching]
        answers = await asyncio.gather(
            *(self._call("eth_getLogs", {"blockHash": block.hash} | q, within=RANGE_TIMEOUT) for q in questions)
        )
        logs = {log["logIndex"]: raw_log(log) for answer in answers for log in cast(list[Document], answer)}
        if certain and bloom_of(logs.values()) != bloom:
            raise NotThere(
                f"{self.rpc.name}: block {block.number} has other logs than its header's bloom says: not all are there "
                "yet (if this lasts, its chain's blooms are not true: set check_blooms = false)"
            )
        found = sorted(
            (log for log in logs.values() if any(matches(log, filter_) for filter_ in wanted)),
            key=lambda log: log.log_index,
        )
        return Block(block.number, block.hash, block.parent_hash, block.timestamp, tuple(found))

    async def _header(self, number: int) -> Document:
        header = await self._call("eth_getBlockByNumber", hex(number), False)
        if header is None:
            raise NotThere(f"{self.rpc.name}: announced block {number} but does not have it yet")
        return cast(Document, header)

    async def _ready(self) -> None:
        """Connected, and the chain is the right one."""
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
    """A log of JSON-RPC's."""
    return RawLog(
        address=log["address"].lower(),
        topics=tuple(bytes.fromhex(t[2:]) for t in log["topics"]),
        data=bytes.fromhex(log["data"][2:]),
        log_index=int(log["logIndex"], 16),
        tx_hash=log["transactionHash"],
    )


def block_of(header: Document, logs: list[Document]) -> Block:
    """A header and its block's logs, in log order. Raises `NotThere` if they are of different blocks."""
    for log in logs:
        if log["blockHash"] != header["hash"]:
            raise NotThere(
                f"logs of block {int(header['number'], 16)} are of {log['blockHash']}, its header is {header['hash']}"
            )
    return Block(
        number=int(header["number"], 16),
        hash=header["hash"],
        parent_hash=header["parentHash"],
        timestamp=int(header["timestamp"], 16),
        logs=tuple(raw_log(log) for log in logs),
    )


def check_links(blocks: Sequence[Block]) -> None:
    """Raises `NotThere` if one of consecutive blocks is not the next one's parent."""
    for before, after in pairwise(blocks):
        if after.parent_hash != before.hash:
            raise NotThere(
                f"block {after.number} has parent {after.parent_hash}, but block {before.number} is {before.hash}: "
                "the node changed its mind in between"
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
    """Whether a filter wants a log."""
    return (not wanted.addresses or log.address in wanted.addresses) and (
        not wanted.topics0 or (bool(log.topics) and log.topics[0] in wanted.topics0)
    )
