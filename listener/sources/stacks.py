"""The Stacks blockchain through the Stacks Blockchain API: blocks by height, what contracts print in them.

Source: the API's OpenAPI schema (`/v2/info`, `/extended/v2/blocks`, `/extended/v1/tx/events`). A block's identity is
its index block hash, and parents are linked by it. Transactions that are not canonical (of orphaned microblocks, before
Nakamoto) are not in a block, whatever lists them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any, TypeAlias, cast
from urllib.parse import urlsplit

import aiohttp
import orjson

from chaincast.errors import SourceError, WrongChain
from listener.adapters.clarity_prints import PRINT, REPR
from listener.sources.base import Block, LogFilter, RawLog
from listener.sources.cadence import Cadence
from listener.sources.evm import check_links, matches
from listener.sources.faults import NoAnswer, NotThere, http_fault, without_urls

Document: TypeAlias = dict[str, Any]  # an answer of the API, whose members are checked where they are read

PAGE = 50
PARALLEL = 8
TIMEOUT = 10.0


class StacksSource:
    """One API. `poll_seconds`: how often to ask for the newest block; 0: as the chain's pace suggests."""

    observe: Callable[[str, float, SourceError | None], None] = staticmethod(lambda *_: None)

    def __init__(self, url: str, chain_id: int, block_seconds: float, poll_seconds: float = 0) -> None:
        self.name = urlsplit(url).hostname or "?"
        self._url = url.rstrip("/")
        self._chain_id = chain_id
        self._poll_seconds = poll_seconds
        self._cadence = Cadence(block_seconds)
        self._slots = asyncio.Semaphore(PARALLEL)
        self._session: aiohttp.ClientSession | None = None
        self._checked = False
        self._head = -1

    async def close(self) -> None:
        session, self._session = self._session, None
        self._checked = False
        if session is not None:
            await session.close()

    def forget_head(self) -> None:
        """What was said of the head is not to be relied on."""
        self._head = -1

    async def head(self) -> int:
        newest = await self._get("/extended/v2/blocks/latest")
        self._head = max(self._head, int(newest["height"]))
        self._cadence.head(self._head, monotonic())
        return self._head

    async def head_after(self, block: int, patience: float = 5.0) -> int:
        """As of `Source`; waits for so many seconds."""
        until = monotonic() + patience
        while (head := self._head if self._head > block else await self.head()) <= block:
            if (left := until - monotonic()) <= 0:
                break
            await asyncio.sleep(min(left, self._poll_seconds or self._cadence.wait(monotonic())))
        return head

    async def header(self, number: int) -> Block:
        return _block(await self._header(number), ())

    async def blocks(self, first: int, last: int, wanted: Sequence[LogFilter], *, linked: bool) -> list[Block]:
        blocks = list(await asyncio.gather(*(self._whole(number, wanted) for number in range(first, last + 1))))
        if linked:
            check_links(blocks)
            return blocks
        return [block for block in blocks if block.logs or block.number in (first, last)]

    async def read(self, calls: Sequence[tuple[str, bytes]]) -> list[bytes | None]:
        return [None] * len(calls)  # no adapter of this chain asks anything

    async def _header(self, number: int) -> Document:
        header = await self._get(f"/extended/v2/blocks/{number}")
        if not header.get("canonical", True):
            raise NotThere(f"{self.name}: block {number} is not canonical")
        return header

    async def _whole(self, number: int, wanted: Sequence[LogFilter]) -> Block:
        """A block with what its contracts printed. Asked for by hash: a fork in between is an error, not a mixture."""
        header = await self._header(number)
        if not header["tx_count"]:
            return _block(header, ())
        transactions = await self._all(f"/extended/v2/blocks/{header['hash']}/transactions?")
        transactions.sort(key=lambda tx: tx["tx_index"])
        logs: list[RawLog] = []
        before = 0
        for tx in transactions:
            if not (tx["canonical"] and tx["microblock_canonical"]):
                continue
            if tx["event_count"]:
                events = await self._all(f"/extended/v1/tx/events?tx_id={tx['tx_id']}&")
                logs += [log for event in events if (log := _print(event, before)) and _wanted(log, wanted)]
            before += tx["event_count"]
        return _block(header, tuple(sorted(logs, key=lambda log: log.log_index)))

    async def _all(self, path: str) -> list[Document]:
        """Every page of a list."""
        found: list[Document] = []
        while True:
            page = await self._get(f"{path}limit={PAGE}&offset={len(found)}")
            results = cast(list[Document], page.get("results", page.get("events", [])))
            found += results
            if len(results) < PAGE:
                return found

    async def _get(self, path: str) -> Document:
        async with self._slots:
            if not self._checked:
                info = await self._ask("/v2/info")
                if info.get("network_id") != self._chain_id:
                    raise WrongChain(
                        f"{self.name} serves chain {info.get('network_id')}, the configuration says {self._chain_id}"
                    )
                self._checked = True
            return await self._ask(path)

    async def _ask(self, path: str) -> Document:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT))
        method, started = path.partition("?")[0], monotonic()
        fault: SourceError | None = None
        document: object = None
        try:
            async with self._session.get(self._url + path) as response:
                body = await response.read()
            if response.status == 404:
                fault = NotThere(f"{self.name}: {method} is not there (yet)")
            elif response.status != 200:
                fault = http_fault(f"{self.name}: {method}", response.status, response.headers.get("Retry-After"))
            else:
                document = orjson.loads(body)
        except TimeoutError:
            fault = NoAnswer(f"{self.name}: {method}: no answer in {TIMEOUT:g} s")
        except (OSError, aiohttp.ClientError, ValueError) as error:
            fault = SourceError(f"{self.name}: {method}: {without_urls(f'{type(error).__name__}: {error}')}")
        if fault is None and not isinstance(document, dict):
            fault = SourceError(f"{self.name}: {method}: the answer is no JSON object")
        self.observe(method, monotonic() - started, fault)
        if fault is not None:
            raise fault
        return cast(Document, document)


def _print(event: Document, before: int) -> RawLog | None:
    """What a contract printed; `before`: events of the block's earlier transactions."""
    if event.get("event_type") != "smart_contract_log":
        return None
    said = event["contract_log"]
    value, topic = said["value"], said["topic"].encode()
    hex_ = value.get("hex")
    return RawLog(
        address=said["contract_id"],
        topics=(topic,) if hex_ else (topic, REPR),
        data=bytes.fromhex(hex_[2:]) if hex_ else value["repr"].encode(),
        log_index=before + event["event_index"],
        tx_hash=event["tx_id"],
    )


def _wanted(log: RawLog, wanted: Sequence[LogFilter]) -> bool:
    return log.topics[0] == PRINT and any(matches(log, filter_) for filter_ in wanted)


def _block(header: Document, logs: tuple[RawLog, ...]) -> Block:
    return Block(
        number=int(header["height"]),
        hash=header["index_block_hash"],
        parent_hash=header["parent_index_block_hash"],
        timestamp=int(header.get("block_time") or header["burn_block_time"]),
        logs=logs,
    )
