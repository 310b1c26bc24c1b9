"""EVM chains over JSON-RPC by web3.py: WebSocket (heads are pushed) or HTTP (the head is asked for)."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeAlias, cast

from web3 import AsyncHTTPProvider, AsyncWeb3, WebSocketProvider
from web3.exceptions import Web3Exception
from web3.types import RPCEndpoint, RPCResponse

from chaincast.errors import SourceError, WrongChain
from listener.sources.base import Block, RawLog

Document: TypeAlias = dict[str, Any]  # a JSON-RPC result, whose members are checked where they are read

REQUEST_TIMEOUT = 10.0
MAX_ANSWER_BYTES = 128 * 1024 * 1024
_URL = re.compile(r"(wss?|https?)://\S+")
_CONNECTION_ERRORS = (OSError, TimeoutError, Web3Exception, EOFError)


class EvmSource:
    """One endpoint of one EVM chain. `poll_seconds` is how often the head is asked for where none is pushed."""

    def __init__(self, url: str, chain_id: int, poll_seconds: float) -> None:
        self._pushes = url.startswith(("ws://", "wss://"))
        self._url = url
        self._chain_id = chain_id
        self._poll_seconds = poll_seconds
        self._w3: AsyncWeb3[Any] | None = None
        self._heads: asyncio.Task[None] | None = None
        self._head = -1
        self._new_head = asyncio.Event()

    async def open(self) -> None:
        try:
            if self._pushes:
                provider = WebSocketProvider(
                    self._url,
                    # The library's own limit of 1 MiB is a few hundred logs.
                    websocket_kwargs={"max_size": MAX_ANSWER_BYTES},
                    request_timeout=REQUEST_TIMEOUT,
                    max_connection_retries=1,
                )
                self._w3 = AsyncWeb3(provider)
                await provider.connect()
            else:
                self._w3 = AsyncWeb3(AsyncHTTPProvider(self._url, request_kwargs={"timeout": REQUEST_TIMEOUT}))
        except _CONNECTION_ERRORS as error:
            raise SourceError(f"cannot connect to the node: {_brief(error)}") from error
        chain_id = int(cast(str, await self._call("eth_chainId")), 16)
        if chain_id != self._chain_id:
            raise WrongChain(f"the node serves chain {chain_id}, the configuration says {self._chain_id}")
        if self._pushes:
            await self._subscribe_heads()
        self._head = await self.head()

    async def close(self) -> None:
        if self._heads is not None:
            self._heads.cancel()
            await asyncio.gather(self._heads, return_exceptions=True)
            self._heads = None
        if self._w3 is not None:
            with contextlib.suppress(*_CONNECTION_ERRORS):
                await self._w3.provider.disconnect()
            self._w3 = None

    async def head(self) -> int:
        return int(cast(str, await self._call("eth_blockNumber")), 16)

    async def head_after(self, block: int) -> int:
        if self._head <= block:
            self._new_head.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._poll_seconds):
                    await self._new_head.wait()
            if self._heads is not None and self._heads.done():
                raise SourceError("the node closed its subscription to new heads")
            if self._head <= block:
                self._head = await self.head()
        return self._head

    async def header(self, number: int) -> Block:
        return _block(await self._header(number), [])

    async def blocks(self, first: int, last: int, topics0: Sequence[bytes], *, linked: bool) -> list[Block]:
        filter_ = {
            "fromBlock": hex(first),
            "toBlock": hex(last),
            "topics": [["0x" + t.hex() for t in topics0]],
        }
        ends = list(range(first, last + 1)) if linked else sorted({first, last})
        logs, *headers = await asyncio.gather(
            self._call("eth_getLogs", filter_), *(self._header(number) for number in ends)
        )
        by_block: dict[int, list[Document]] = {}
        for log in cast(list[Document], logs):
            by_block.setdefault(int(log["blockNumber"], 16), []).append(log)
        known = dict(zip(ends, headers, strict=True))
        missing = [number for number in by_block if number not in known]
        known |= dict(zip(missing, await asyncio.gather(*map(self._header, missing)), strict=True))
        blocks = [_block(cast(Document, known[n]), by_block.get(n, [])) for n in sorted(known)]
        for before, after in pairwise(blocks) if linked else ():
            if after.parent_hash != before.hash:
                raise SourceError(
                    f"block {after.number} has parent {after.parent_hash}, but block {before.number} is {before.hash}: "
                    "the node changed its mind in between"
                )
        return blocks

    async def _header(self, number: int) -> Document:
        header = await self._call("eth_getBlockByNumber", hex(number), False)
        if header is None:
            raise SourceError(f"the node announced block {number} but does not have it yet")
        return cast(Document, header)

    async def _subscribe_heads(self) -> None:
        assert self._w3 is not None
        try:
            await self._w3.eth.subscribe("newHeads")
        except _CONNECTION_ERRORS as error:
            raise SourceError(f"eth_subscribe newHeads: {_brief(error)}") from error
        self._heads = asyncio.create_task(self._follow_heads(self._w3), name="heads")

    async def _follow_heads(self, w3: AsyncWeb3[Any]) -> None:
        """Only wakes the listener: which blocks there are, it finds out by range."""
        with contextlib.suppress(*_CONNECTION_ERRORS):
            async for message in w3.socket.process_subscriptions():
                head = cast(Mapping[str, Any], message["result"])
                self._head = int(head["number"])
                self._new_head.set()
        self._new_head.set()

    async def _call(self, method: str, *params: object) -> object:
        """A raw JSON-RPC result: web3's result formatters cost more than the call at hundreds of logs per block."""
        if self._w3 is None:
            raise SourceError("not connected")
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT):
                response: RPCResponse = await self._w3.provider.make_request(RPCEndpoint(method), list(params))
        except _CONNECTION_ERRORS as error:
            raise SourceError(f"{method}: {_brief(error)}") from error
        if "error" in response:
            raise SourceError(_URL.sub("(a URL)", f"{method}: the node answered {response['error']!r}")[:500])
        return response.get("result")


def _block(header: Document, logs: list[Document]) -> Block:
    for log in logs:
        if log["blockHash"] != header["hash"]:
            raise SourceError(
                f"logs of block {int(header['number'], 16)} are of {log['blockHash']}, its header is {header['hash']}"
            )
    raw = [
        RawLog(
            address=log["address"].lower(),
            topics=tuple(bytes.fromhex(t[2:]) for t in log["topics"]),
            data=bytes.fromhex(log["data"][2:]),
            log_index=int(log["logIndex"], 16),
            tx_hash=log["transactionHash"],
        )
        for log in logs
    ]
    raw.sort(key=lambda log: log.log_index)
    return Block(
        number=int(header["number"], 16),
        hash=header["hash"],
        parent_hash=header["parentHash"],
        timestamp=int(header["timestamp"], 16),
        logs=tuple(raw),
    )


def _brief(error: BaseException) -> str:
    """The error in one line and without URLs, which may hold a provider's key."""
    text = f"{type(error).__name__}: {error}".replace("\n", " ")
    return _URL.sub("(its URL)", text)[:300]
