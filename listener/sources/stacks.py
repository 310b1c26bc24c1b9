"""Source of the Stacks blockchain through the Stacks Blockchain API: its blocks and the prints of its contracts.

Source: the API's OpenAPI schema (`/v2/info`, `/extended/v2/blocks`, `/extended/v1/tx/events`). A block is identified
by its index block hash, which also links it to its parent. Transactions that are not canonical (of orphaned
microblocks, before Nakamoto) do not belong to a block, even if the API lists them.
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
from listener.sources.evm import check_links, matches
from listener.sources.faults import BlockUnavailable, NoResponse, http_fault, without_urls
from listener.sources.poll_schedule import PollSchedule

Document: TypeAlias = dict[str, Any]  # a response of the API, whose members are checked where they are read

PAGE_SIZE = 50
MAX_CONCURRENT_REQUESTS = 8
TIMEOUT_SECONDS = 10.0


class StacksSource:
    """Source of the Stacks blockchain through one API.

    `poll_seconds` is the interval between two polls of the newest block; 0 derives it from the chain's pace.
    """

    observe: Callable[[str, float, SourceError | None], None] = staticmethod(lambda *_: None)

    def __init__(self, url: str, chain_id: int, block_seconds: float, poll_seconds: float = 0) -> None:
        self.name = urlsplit(url).hostname or "?"
        self._url = url.rstrip("/")
        self._chain_id = chain_id
        self._poll_seconds = poll_seconds
        self._schedule = PollSchedule(block_seconds)
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_REQUESTS)
        self._session: aiohttp.ClientSession | None = None
        self._checked = False
        self._head = -1

    async def close(self) -> None:
        session, self._session = self._session, None
        self._checked = False
        if session is not None:
            await session.close()

    def reset_head(self) -> None:
        """Discard the known head, because another node contradicted it."""
        self._head = -1

    async def head(self) -> int:
        newest = await self._get("/extended/v2/blocks/latest")
        self._head = max(self._head, int(newest["height"]))
        self._schedule.observe_head(self._head, monotonic())
        return self._head

    async def head_after(self, block: int, max_wait: float = 5.0) -> int:
        """Wait until the head is beyond `block`, at most `max_wait` seconds, and return the head."""
        until = monotonic() + max_wait
        while (head := self._head if self._head > block else await self.head()) <= block:
            if (left := until - monotonic()) <= 0:
                break
            await asyncio.sleep(min(left, self._poll_seconds or self._schedule.seconds_to_next_poll(monotonic())))
        return head

    async def header(self, number: int) -> Block:
        return _block(await self._header(number), ())

    async def blocks(self, first: int, last: int, wanted: Sequence[LogFilter], *, linked: bool) -> list[Block]:
        blocks = list(await asyncio.gather(*(self._full_block(number, wanted) for number in range(first, last + 1))))
        if linked:
            check_links(blocks)
            return blocks
        return [block for block in blocks if block.logs or block.number in (first, last)]

    async def read(self, calls: Sequence[tuple[str, bytes]]) -> list[bytes | None]:
        return [None] * len(calls)  # no adapter of this chain reads contracts

    async def _header(self, number: int) -> Document:
        header = await self._get(f"/extended/v2/blocks/{number}")
        if not header.get("canonical", True):
            raise BlockUnavailable(f"{self.name}: block {number} is not canonical")
        return header

    async def _full_block(self, number: int, wanted: Sequence[LogFilter]) -> Block:
        """Return a block with the prints of its contracts.

        The transactions are requested by block hash. A fork between two requests is an error; branches never mix.
        """
        header = await self._header(number)
        if not header["tx_count"]:
            return _block(header, ())
        transactions = await self._all(f"/extended/v2/blocks/{header['hash']}/transactions?")
        transactions.sort(key=lambda tx: tx["tx_index"])
        logs: list[RawLog] = []
        earlier_events = 0
        for tx in transactions:
            if not (tx["canonical"] and tx["microblock_canonical"]):
                continue
            if tx["event_count"]:
                events = await self._all(f"/extended/v1/tx/events?tx_id={tx['tx_id']}&")
                logs += [log for event in events if (log := _print_log(event, earlier_events)) and _wanted(log, wanted)]
            earlier_events += tx["event_count"]
        return _block(header, tuple(sorted(logs, key=lambda log: log.log_index)))

    async def _all(self, path: str) -> list[Document]:
        """Return the items of all pages of a list."""
        items: list[Document] = []
        while True:
            page = await self._get(f"{path}limit={PAGE_SIZE}&offset={len(items)}")
            results = cast(list[Document], page.get("results", page.get("events", [])))
            items += results
            if len(results) < PAGE_SIZE:
                return items

    async def _get(self, path: str) -> Document:
        async with self._slots:
            if not self._checked:
                info = await self._request("/v2/info")
                if info.get("network_id") != self._chain_id:
                    raise WrongChain(
                        f"{self.name} serves chain {info.get('network_id')}, the configuration says {self._chain_id}"
                    )
                self._checked = True
            return await self._request(path)

    async def _request(self, path: str) -> Document:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS))
        method, started = path.partition("?")[0], monotonic()
        fault: SourceError | None = None
        document: object = None
        try:
            async with self._session.get(self._url + path) as response:
                body = await response.read()
            if response.status == 404:
                fault = BlockUnavailable(f"{self.name}: {method} does not exist (yet)")
            elif response.status != 200:
                fault = http_fault(f"{self.name}: {method}", response.status, response.headers.get("Retry-After"))
            else:
                document = orjson.loads(body)
        except TimeoutError:
            fault = NoResponse(f"{self.name}: {method}: no response within {TIMEOUT_SECONDS:g} s")
        except (OSError, aiohttp.ClientError, ValueError) as error:
            fault = SourceError(f"{self.name}: {method}: {without_urls(f'{type(error).__name__}: {error}')}")
        if fault is None and not isinstance(document, dict):
            fault = SourceError(f"{self.name}: {method}: the response is not a JSON object")
        self.observe(method, monotonic() - started, fault)
        if fault is not None:
            raise fault
        return cast(Document, document)


def _print_log(event: Document, earlier_events: int) -> RawLog | None:
    """Return the log of a contract's print, or None for other events.

    `earlier_events` is the number of events in earlier transactions of the block.
    """
    if event.get("event_type") != "smart_contract_log":
        return None
    contract_log = event["contract_log"]
    value, topic = contract_log["value"], contract_log["topic"].encode()
    hex_ = value.get("hex")
    return RawLog(
        address=contract_log["contract_id"],
        topics=(topic,) if hex_ else (topic, REPR),
        data=bytes.fromhex(hex_[2:]) if hex_ else value["repr"].encode(),
        log_index=earlier_events + event["event_index"],
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
