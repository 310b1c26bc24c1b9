"""A pool of HTTP connections to one endpoint. It decides when and on which connection an exchange is sent.

A pool belongs to one event loop. Exchanges wait in one queue, first in, first out. The number of connections bounds the
exchanges in progress. A throttle, if there is one, bounds the requests per second.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from time import monotonic, thread_time
from typing import Protocol
from urllib.parse import urlsplit

from chaincast.aws.fast.connection import AfterResponse, Connection, Exchange, HttpError
from chaincast.aws.fast.tls import open_connection

CONNECT_TIMEOUT_SECONDS = 3.0
REQUEST_TIMEOUT_SECONDS = 5.0
MAX_IDLE_SECONDS = 50.0
"""Seconds after which an idle connection is not used again. Load balancers drop idle connections after 60."""

_MAX_OPENING = 8
"""Maximum number of connections being opened at the same time. A TLS handshake costs as much CPU as thirty posts."""

_SWEEP_SECONDS = 0.25
"""Seconds between searches for exchanges that have timed out."""

_GROW_SECONDS = 0.005
"""Seconds for which exchanges must wait before more connections are opened."""

_BUSY_SHARE = 0.8
"""Share of time that this thread computes above which more connections would only wait for each other."""


class Throttle(Protocol):
    """A limit of requests per second (chaincast/aws/fast/pacing.py). All times are in monotonic seconds."""

    @property
    def limited(self) -> bool:
        """True if `wait` must be called before each request."""
        ...

    def wait(self, now: float) -> float:
        """Return the seconds to wait before the next request. 0: send it now; it is counted."""
        ...

    def tick(self, now: float) -> None:
        """Measure the rate. The pool calls this a few times per second while exchanges are in progress."""
        ...


@dataclass(slots=True)
class _Timers:
    """The callbacks that the event loop will run. Each is set at most once at a time."""

    pump: bool = False
    throttled_pump: bool = False
    sweep: bool = False
    growth: bool = False


class Pool:
    """Up to `size` connections to an endpoint such as `https://dynamodb.us-east-1.amazonaws.com`.

    `timeout`: maximum seconds until a response. `throttle`: limit of requests per second; None for no limit.
    """

    def __init__(self, endpoint: str, size: int, timeout: float = REQUEST_TIMEOUT_SECONDS) -> None:
        url = urlsplit(endpoint)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise ValueError(f"endpoint {endpoint!r}: not valid; it must be http(s)://host[:port][/path]")
        self.host = url.netloc
        self.path = url.path.rstrip("/")
        self.throttle: Throttle | None = None
        """Limit of requests per second, which a poster may set; None: no limit."""
        self._tls = url.scheme == "https"
        self._address = (url.hostname, url.port or (443 if self._tls else 80))
        self._size = size
        self._timeout = timeout
        self._queue: deque[Exchange] = deque()
        self._connections: set[Connection] = set()
        self._idle: list[Connection] = []
        self._opening: set[asyncio.Task[None]] = set()
        self._timers = _Timers()
        self._closed = False
        self._grown_at = (0.0, 0.0)

    def submit(self, exchange: Exchange, *, first: bool = False) -> None:
        """Queue an exchange. `first`: ahead of all others, because it has waited before."""
        if self._closed:
            exchange.broken(HttpError("the pool is closed", sent=False))
            return
        if first:
            self._queue.appendleft(exchange)
        else:
            self._queue.append(exchange)
        if not self._timers.pump:
            self._timers.pump = True
            # Connections that were closed while the sandbox was frozen must be noticed before anything is sent. The
            # loop reads its sockets between two rounds of callbacks, so the pump runs in the round after the next.
            asyncio.get_running_loop().call_soon(self._pump_next_round)

    def finished(self, connection: Connection, exchange: Exchange, status: int, body: bytes, usable: bool) -> None:
        """Handle a response, and send the next exchange on the same connection if it is usable."""
        queue = self._queue
        if exchange.answered(status, body) is AfterResponse.NEXT_REQUEST:
            queue.appendleft(exchange)
        if not usable:
            self._connections.discard(connection)
        else:
            if queue and (self.throttle is None or not self.throttle.limited):
                # The usual path under load: send the next exchange at once, without the pump.
                now = monotonic()
                request = queue[0].request(now)
                if request is not None:
                    connection.send(queue.popleft(), request, now)
                    return
            self._idle.append(connection)
        if queue:
            self._pump()

    def lost(self, connection: Connection) -> None:
        """Remove a connection that has ended."""
        self._connections.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if self._queue and not self._timers.pump:
            self._timers.pump = True
            asyncio.get_running_loop().call_soon(self._pump_now)

    async def close(self) -> None:
        """Drop all connections. Exchanges that wait, are in progress or are submitted later break."""
        self._closed = True
        opening = [*self._opening]
        for task in opening:
            task.cancel()
        for connection in [*self._connections]:
            connection.fail("closed")
        self._break_waiting(HttpError("the pool was closed", sent=False))
        await asyncio.gather(*opening, return_exceptions=True)
        await asyncio.sleep(0)  # the loop closes dropped sockets in its next round

    def _pump_next_round(self) -> None:
        asyncio.get_running_loop().call_soon(self._pump_now)

    def _pump_now(self) -> None:
        self._timers.pump = False
        self._pump()

    def _throttled_pump(self) -> None:
        self._timers.throttled_pump = False
        self._pump()

    def _pump(self) -> None:
        """Send all exchanges that can be sent now."""
        queue, throttle = self._queue, self.throttle
        while queue:
            now = monotonic()
            connection = self._free(now)
            if connection is None:
                self._grow()
                break
            wait = throttle.wait(now) if throttle is not None and throttle.limited else 0.0
            if wait > 0:
                self._idle.append(connection)
                if not self._timers.throttled_pump:
                    self._timers.throttled_pump = True
                    asyncio.get_running_loop().call_later(wait, self._throttled_pump)
                break
            exchange = queue.popleft()
            request = exchange.request(now)
            if request is None:
                self._idle.append(connection)
                continue
            connection.send(exchange, request, now)
        if not self._timers.sweep and len(self._idle) < len(self._connections):
            self._timers.sweep = True
            asyncio.get_running_loop().call_later(_SWEEP_SECONDS, self._sweep)

    def _free(self, now: float) -> Connection | None:
        """Return the idle connection that was used last, so that connections that are not needed expire."""
        while self._idle:
            connection = self._idle.pop()
            if connection.usable and now - connection.since < MAX_IDLE_SECONDS:
                return connection
            connection.fail("connection was idle for too long")
        return None

    def _grow(self) -> None:
        """Open connections if there are none, and more later if exchanges still wait and this thread is not busy."""
        if not self._connections and not self._opening:
            self._open_more()
        if not self._timers.growth:
            self._timers.growth = True
            self._grown_at = monotonic(), thread_time()
            asyncio.get_running_loop().call_later(_GROW_SECONDS, self._grow_more)

    def _grow_more(self) -> None:
        since, computed = self._grown_at
        self._timers.growth = False
        if not self._queue or self._timers.throttled_pump:
            return
        if thread_time() - computed < _BUSY_SHARE * (monotonic() - since):
            self._open_more()
        self._grow()

    def _open_more(self) -> None:
        have = len(self._connections) + len(self._opening)
        for _ in range(
            min(_MAX_OPENING - len(self._opening), self._size - have, len(self._queue) - len(self._opening))
        ):
            task = asyncio.get_running_loop().create_task(self._open())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _open(self) -> None:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
                connection = await open_connection(lambda: Connection(self), *self._address, tls=self._tls)
        except (OSError, TimeoutError) as error:
            self._not_opened(HttpError(f"cannot connect to {self._address[0]}:{self._address[1]}: {error}", sent=False))
            return
        self._connections.add(connection)
        self._idle.append(connection)
        self._opening.discard(asyncio.current_task())
        self._pump()

    def _not_opened(self, error: HttpError) -> None:
        """Break the waiting exchanges if there is no connection that could send them."""
        if not self._connections:
            self._break_waiting(error)

    def _break_waiting(self, error: HttpError) -> None:
        waiting, self._queue = self._queue, deque()
        for exchange in waiting:
            exchange.broken(error)

    def _sweep(self) -> None:
        """Drop connections whose response is late. One timer serves all connections."""
        now = monotonic()
        if self.throttle is not None:
            self.throttle.tick(now)
        late = now - self._timeout
        for connection in [c for c in self._connections if c.busy and c.since < late]:
            connection.fail(f"no response within {self._timeout:g} s")
        self._timers.sweep = any(c.busy for c in self._connections)
        if self._timers.sweep:
            asyncio.get_running_loop().call_later(_SWEEP_SECONDS, self._sweep)
