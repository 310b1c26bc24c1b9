"""One WebSocket: matches requests with replies and passes other messages on. It is used once and does not reconnect."""

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

Message: TypeAlias = dict[str, Any]  # a message of chaincast.v1 (docs/protocol.md)

OPEN_SECONDS = 15.0
REPLY_SECONDS = 30.0
"""API Gateway waits 29 s for a function: an earlier retry would add load to a busy stack."""
_FRAME_BYTES = 2**20
"""Messages of API Gateway have at most 128 KB."""


class Refusal(ChaincastError):
    """A request that was refused or failed.

    `code` is listed in docs/protocol.md, or is the client's own: `TIMEOUT`, `CLOSED`, `GATEWAY` (a function failed),
    `UNREACHABLE`, or `HTTP_401` … (at the handshake). `details`: further fields of the server's error, such as
    `retry_after`.
    """

    def __init__(self, code: str, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.details = details or {}

    @property
    def retry_after(self) -> float:
        """Seconds after which a retry may succeed; 0 if the server did not say."""
        return float(self.details.get("retry_after", 0.0))


class Socket:
    """An open connection. `on_unsolicited` is called with every message that is no reply."""

    def __init__(self, socket: ClientConnection, on_unsolicited: Callable[[Socket, Message], None]) -> None:
        self.subscribed: set[str] = set()
        """Topics that the server has confirmed."""
        self.is_closed = False
        self.sent_at = time.monotonic()
        self._socket = socket
        self._on_unsolicited = on_unsolicited
        self._requests: dict[int, asyncio.Future[Message]] = {}
        self._last_id = 0
        self._closed = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def open(
        cls, url: str, subprotocols: Sequence[str], on_unsolicited: Callable[[Socket, Message], None]
    ) -> Self:
        """Connect. Raise `Refusal`."""
        try:
            socket = await connect(
                url,
                subprotocols=[Subprotocol(name) for name in subprotocols],
                open_timeout=OPEN_SECONDS,
                close_timeout=1.0,
                ping_interval=None,  # API Gateway counts messages only, so the session pings with messages
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
        return cls(socket, on_unsolicited)

    async def ask(self, type_: str, *, patience: float = REPLY_SECONDS, **fields: object) -> Message:
        """Send a message and return the reply. Raise `Refusal`: an error of the server, `TIMEOUT` or `CLOSED`."""
        if self.is_closed:
            raise Refusal("CLOSED", "the connection was lost")
        self._last_id += 1
        number, self.sent_at = self._last_id, time.monotonic()
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._requests[number] = answer
        try:
            async with asyncio.timeout(patience):
                await self._socket.send(json.dumps({"type": type_, **fields, "id": number}))
                return await answer
        except TimeoutError:
            self.abandon()  # half-open connection
            raise Refusal("TIMEOUT", f"no reply to {type_!r} within {patience:g} s") from None
        except ConnectionClosed:
            raise Refusal("CLOSED", "the connection was lost") from None
        finally:
            self._requests.pop(number, None)
            if answer.done() and not answer.cancelled():
                answer.exception()  # mark the exception as retrieved

    def abandon(self) -> None:
        """Close the socket without waiting for the other side."""
        self._reading.cancel()

    async def wait_closed(self) -> None:
        """Return when the socket is closed, from either side."""
        await self._closed.wait()

    async def close(self) -> None:
        """Close the socket, and wait for the closing handshake or its time-out."""
        self.abandon()
        await asyncio.wait([self._reading])

    async def _read(self) -> None:
        try:
            with suppress(ConnectionClosed):
                async for text in self._socket:
                    self._on_message(text)
        finally:
            self.is_closed = True
            self._fail(Refusal("CLOSED", "the connection was lost"))
            self._closed.set()
            try:
                await self._socket.close()
            except asyncio.CancelledError:
                self._socket.transport.abort()  # the event loop ends, so there is no time for a closing handshake
                raise

    def _on_message(self, text: str | bytes) -> None:
        try:
            message = json.loads(text)
        except ValueError:
            return  # not a message of this protocol
        if not isinstance(message, dict):
            return
        if "type" not in message:
            # API Gateway's errors do not name the request, so all pending requests fail.
            self._fail(Refusal("GATEWAY", str(message.get("message", text))))
            return
        number = message.get("id")
        answer = self._requests.get(number) if isinstance(number, int) else None
        if answer is None or answer.done():
            self._on_unsolicited(self, message)
        elif message["type"] == "error":
            answer.set_exception(refusal_of(message))
        else:
            answer.set_result(message)

    def _fail(self, refusal: Refusal) -> None:
        for answer in self._requests.values():
            if not answer.done():
                answer.set_exception(refusal)


def refusal_of(message: Message) -> Refusal:
    """Return the `Refusal` for an `error` message."""
    details = {name: value for name, value in message.items() if name not in ("type", "id", "code", "message")}
    return Refusal(str(message.get("code")), str(message.get("message")), details)
