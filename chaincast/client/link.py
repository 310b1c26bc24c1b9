"""One WebSocket: questions with their answers, and what is told unasked. Once it is gone, it stays so."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Self, TypeAlias

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

from chaincast.errors import ChaincastError

Message: TypeAlias = dict[str, Any]  # of chaincast.v1, as docs/protocol.md has it

OPEN_SECONDS = 15.0
ANSWER_SECONDS = 30.0
"""API Gateway gives a function 29 s for its answer: who asks again before makes a busy stack busier."""
_FRAME_BYTES = 2**20
"""API Gateway's messages have at most 128 KB."""


class Refusal(ChaincastError):
    """Something was refused or could not be done.

    `code` is one of docs/protocol.md's, or of the client itself: `TIMEOUT`, `CLOSED`, `GATEWAY` (a function failed),
    `UNREACHABLE`, `HTTP_401` … (at the handshake). `details`: what else the server said, such as `retry_after`.
    """

    def __init__(self, code: str, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.details = details or {}

    @property
    def retry_after(self) -> float:
        """Seconds after which it works again; 0 if nobody said."""
        return float(self.details.get("retry_after", 0.0))


class Link:
    """An open connection. `told` is called with every message that answers nothing."""

    def __init__(self, socket: ClientConnection, told: Callable[[Link, Message], None]) -> None:
        self.live: set[str] = set()
        """Topics that are listened to."""
        self.over = False
        self.said_at = time.monotonic()
        self._socket = socket
        self._told = told
        self._answers: dict[int, asyncio.Future[Message]] = {}
        self._asked = 0
        self._gone = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, url: str, subprotocols: Sequence[str], told: Callable[[Link, Message], None]) -> Self:
        """Connect. Raises `Refusal`."""
        try:
            socket = await connect(
                url,
                subprotocols=[Subprotocol(name) for name in subprotocols],
                open_timeout=OPEN_SECONDS,
                close_timeout=1.0,
                ping_interval=None,  # API Gateway counts messages only: the session pings by these
                max_size=_FRAME_BYTES,
            )
        except InvalidStatus as error:
            answer = error.response
            after = answer.headers.get("Retry-After", "")
            details = {"retry_after": int(after)} if after.isdecimal() else {}
            words = (answer.body or b"").decode(errors="replace")[:200]
            raise Refusal(f"HTTP_{answer.status_code}", f"the handshake was refused: {words}", details) from None
        except (OSError, InvalidHandshake, TimeoutError) as error:
            raise Refusal("UNREACHABLE", str(error) or type(error).__name__) from None
        return cls(socket, told)

    async def ask(self, type_: str, *, patience: float = ANSWER_SECONDS, **fields: object) -> Message:
        """Send a message, and wait for its answer. Raises `Refusal`: what the server says, `TIMEOUT`, `CLOSED`."""
        if self.over:
            raise Refusal("CLOSED", "the connection was lost")
        self._asked += 1
        number, self.said_at = self._asked, time.monotonic()
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        try:
            async with asyncio.timeout(patience):
                await self._socket.send(json.dumps({"type": type_, **fields, "id": number}))
                return await answer
        except TimeoutError:
            self.abandon()  # half-open: nobody is there
            raise Refusal("TIMEOUT", f"no answer to {type_} in {patience:g} s") from None
        except ConnectionClosed:
            raise Refusal("CLOSED", "the connection was lost") from None
        finally:
            self._answers.pop(number, None)
            if answer.done() and not answer.cancelled():
                answer.exception()  # seen, though nobody may have waited for it

    def abandon(self) -> None:
        """End it, without waiting for the other side."""
        self._reading.cancel()

    async def gone(self) -> None:
        """Return when it is over, whoever ended it."""
        await self._gone.wait()

    async def close(self) -> None:
        """End it, and wait until the other side knows, or does not answer."""
        self.abandon()
        await asyncio.wait([self._reading])

    async def _read(self) -> None:
        try:
            with suppress(ConnectionClosed):
                async for text in self._socket:
                    self._hear(text)
        finally:
            self.over = True
            self._fail(Refusal("CLOSED", "the connection was lost"))
            self._gone.set()
            try:
                await self._socket.close()
            except asyncio.CancelledError:
                self._socket.transport.abort()  # the event loop ends: no time for good manners
                raise

    def _hear(self, text: str | bytes) -> None:
        try:
            message = json.loads(text)
        except ValueError:
            return  # of no protocol of ours
        if not isinstance(message, dict):
            return
        if "type" not in message:
            # API Gateway does not say what it could not do: then nothing that was asked can be relied on.
            self._fail(Refusal("GATEWAY", str(message.get("message", text))))
            return
        number = message.get("id")
        answer = self._answers.get(number) if isinstance(number, int) else None
        if answer is None or answer.done():
            self._told(self, message)
        elif message["type"] == "error":
            answer.set_exception(refusal_of(message))
        else:
            answer.set_result(message)

    def _fail(self, refusal: Refusal) -> None:
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(refusal)


def refusal_of(message: Message) -> Refusal:
    """What an `error` message says."""
    details = {name: value for name, value in message.items() if name not in ("type", "id", "code", "message")}
    return Refusal(str(message.get("code")), str(message.get("message")), details)
