"""The pool: which exchange goes out next, on which connection, and when.

One event loop's: not for use from several. Exchanges wait in one queue, first come first served; how many go out at
once is bounded by the number of connections, how many in a second by the pace.
"""

from __future__ import annotations

import asyncio
from collections import deque
from time import monotonic, thread_time
from urllib.parse import urlsplit

from chaincast.aws.fast.connection import Connection, Exchange, HttpError
from chaincast.aws.fast.pacing import Pace
from chaincast.aws.fast.tls import open_connection

CONNECT_TIMEOUT = 3.0
REQUEST_TIMEOUT = 5.0
MAX_IDLE = 50.0
"""Seconds after which a kept connection is not trusted any more: load balancers drop idle ones after 60."""

_OPENING = 8
"""Connections that are opened at once; a handshake costs as much CPU as thirty posts."""

_SWEEP = 0.25
_GROW = 0.005
_BUSY = 0.8
"""Share of the time that this thread computes from which on more connections would only make each other wait."""


class Pool:
    """Up to `size` connections to one endpoint, e.g. `https://dynamodb.us-east-1.amazonaws.com`."""

    def __init__(self, endpoint: str, size: int, timeout: float = REQUEST_TIMEOUT) -> None:
        url = urlsplit(endpoint)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise ValueError(f"{endpoint!r} is no endpoint: http(s)://host[:port][/path]")
        self.host = url.netloc
        self.path = url.path.rstrip("/")
        self.pace = Pace()
        self._tls = url.scheme == "https"
        self._address = (url.hostname, url.port or (443 if self._tls else 80))
        self._size = size
        self._timeout = timeout
        self._queue: deque[Exchange] = deque()
        self._connections: set[Connection] = set()
        self._idle: list[Connection] = []
        self._opening: set[asyncio.Task[None]] = set()
        self._scheduled = self._sweeping = self._waiting = self._growing = self._closed = False
        self._grown_at = (0.0, 0.0)

    def submit(self, exchange: Exchange, *, first: bool = False) -> None:
        """Queue an exchange; `first`: before all others, as it has waited already."""
        if self._closed:
            exchange.broken(HttpError("the pool is closed", sent=False))
            return
        if first:
            self._queue.appendleft(exchange)
        else:
            self._queue.append(exchange)
        if not self._scheduled:
            self._scheduled = True
            # Not now but after a look at the sockets: what was closed while the sandbox was frozen is noticed first.
            loop = asyncio.get_running_loop()
            loop.call_soon(loop.call_soon, self._scheduled_pump)

    def finished(self, connection: Connection, exchange: Exchange, status: int, body: bytes, usable: bool) -> None:
        """An answer came; the connection can be used again or not. (For connections to call.)"""
        queue = self._queue
        if exchange.answered(status, body):
            queue.appendleft(exchange)
        if not usable:
            self._connections.discard(connection)
        elif queue and not self.pace.limited and (request := queue[0].request(now := monotonic())) is not None:
            # The hot path: the next one, on the same connection, at once.
            connection.send(queue.popleft(), request, now)
            return
        else:
            self._idle.append(connection)
        if queue:
            self._pump()

    def lost(self, connection: Connection) -> None:
        """A connection is no more. (For connections to call.)"""
        self._connections.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if self._queue and not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._scheduled_pump)

    async def close(self) -> None:
        """Drop every connection and open none; what waits, is under way or is submitted later breaks."""
        self._closed = True
        opening = [*self._opening]
        for task in opening:
            task.cancel()
        for connection in [*self._connections]:
            connection.fail("closed")
        self._break_waiting(HttpError("the pool was closed", sent=False))
        await asyncio.gather(*opening, return_exceptions=True)
        await asyncio.sleep(0)  # the loop closes dropped sockets in its next round

    def _scheduled_pump(self) -> None:
        self._scheduled = False
        self._pump()

    def _paced_pump(self) -> None:
        self._waiting = False
        self._pump()

    def _pump(self) -> None:
        """Send what can be sent now."""
        queue, pace = self._queue, self.pace
        while queue:
            now = monotonic()
            connection = self._free(now)
            if connection is None:
                self._grow()
                break
            if pace.limited and (wait := pace.wait(now)) > 0:
                self._idle.append(connection)
                if not self._waiting:
                    self._waiting = True
                    asyncio.get_running_loop().call_later(wait, self._paced_pump)
                break
            exchange = queue.popleft()
            request = exchange.request(now)
            if request is None:
                self._idle.append(connection)
                continue
            connection.send(exchange, request, now)
        if not self._sweeping and len(self._idle) < len(self._connections):
            self._sweeping = True
            asyncio.get_running_loop().call_later(_SWEEP, self._sweep)

    def _free(self, now: float) -> Connection | None:
        """The idle connection that was used last, so that those not needed grow old and go."""
        while self._idle:
            connection = self._idle.pop()
            if connection.usable and now - connection.since < MAX_IDLE:
                return connection
            connection.fail("idle for too long")
        return None

    def _grow(self) -> None:
        """Open connections, if there are none; then more, for as long as exchanges wait and this thread does too."""
        if not self._connections and not self._opening:
            self._open_more()
        if not self._growing:
            self._growing = True
            self._grown_at = monotonic(), thread_time()
            asyncio.get_running_loop().call_later(_GROW, self._grow_more)

    def _grow_more(self) -> None:
        since, computed = self._grown_at
        self._growing = False
        if not self._queue or self._waiting:
            return
        if thread_time() - computed < _BUSY * (monotonic() - since):
            self._open_more()
        self._grow()

    def _open_more(self) -> None:
        have = len(self._connections) + len(self._opening)
        for _ in range(min(_OPENING - len(self._opening), self._size - have, len(self._queue) - len(self._opening))):
            task = asyncio.get_running_loop().create_task(self._open())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _open(self) -> None:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                connection = await open_connection(lambda: Connection(self), *self._address, tls=self._tls)
        except (OSError, TimeoutError) as error:
            self._not_opened(HttpError(f"cannot connect to {self._address[0]}:{self._address[1]}: {error}", sent=False))
            return
        self._connections.add(connection)
        self._idle.append(connection)
        self._opening.discard(asyncio.current_task())
        self._pump()

    def _not_opened(self, error: HttpError) -> None:
        """Without any connection there is nothing to wait for: whoever waits is told."""
        if not self._connections:
            self._break_waiting(error)

    def _break_waiting(self, error: HttpError) -> None:
        waiting, self._queue = self._queue, deque()
        for exchange in waiting:
            exchange.broken(error)

    def _sweep(self) -> None:
        """Give up on answers that do not come: one timer for all connections."""
        now = monotonic()
        self.pace.tick(now)
        late = now - self._timeout
        for connection in [c for c in self._connections if c.busy and c.since < late]:
            connection.fail(f"no answer in {self._timeout:g} s")
        self._sweeping = any(c.busy for c in self._connections)
        if self._sweeping:
            asyncio.get_running_loop().call_later(_SWEEP, self._sweep)
