"""API Gateway: WebSocket connections and the management API that posts to them.

Sources: API Gateway, "Quotas for configuring and running a WebSocket API" (10,000 requests per second with a burst of
5,000 per account, two hours, ten minutes without a message, frames of 32 KB, messages of 128 KB), and
`PostToConnection` of the API reference (410 for a connection that is not open, 413, and 429 for both a used-up quota
and a full buffer).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus

from tests.aws_model.token_bucket import TokenBucket

RATE, BURST = 10_000.0, 5_000.0
LIFE_SECONDS, IDLE_SECONDS = 7_200.0, 600.0
FRAME_BYTES, MESSAGE_BYTES = 32_768, 131_072
BUFFER_BYTES = 131_072
"""Bytes that wait for a client before API Gateway refuses more. AWS does not document the number."""

READS_ALL = float("inf")


@dataclass(slots=True)
class Client:
    """The client of a connection, which reads `bytes_per_second`."""

    connection_id: str
    connected_at: float
    opens_at: float
    """When the handshake is complete. Until then posts get 410, although `$connect` has stored the connection."""
    bytes_per_second: float = READS_ALL
    waiting: float = 0.0
    """Bytes that the client had not read at time `read_at`."""
    read_at: float = 0.0
    active_at: float = 0.0
    received: list[tuple[float, bytes]] = field(default_factory=list)
    """Time and body of each message that API Gateway accepted for it."""


class Gateway:
    """The connections of one stage. `on_message`: called for each accepted message instead of keeping it."""

    def __init__(
        self,
        clock: Callable[[], float],
        rate: float = RATE,
        burst: float = BURST,
        buffer_bytes: int = BUFFER_BYTES,
        on_message: Callable[[str, float, bytes], None] | None = None,
    ) -> None:
        self.clients: dict[str, Client] = {}
        self.closed: dict[str, tuple[float, int]] = {}
        """Time and WebSocket close code of each connection that ended."""
        self.answers: Counter[int] = Counter()
        """Number of responses of the management API by status."""
        self.first_refused: dict[str, float] = {}
        """Time of the first 429 because of a full buffer, by connection."""
        self._clock = clock
        self._quota = TokenBucket(rate, burst, clock())
        self._buffer_bytes = buffer_bytes
        self._on_message = on_message

    def connect(self, connection_id: str, handshake_seconds: float = 0.0, bytes_per_second: float = READS_ALL) -> None:
        """Begin a connection. Its record may exist before it is open."""
        now = self._clock()
        client = Client(connection_id, now, now + handshake_seconds, bytes_per_second, read_at=now, active_at=now)
        self.clients[connection_id] = client

    def send(self, connection_id: str, frame_bytes: int) -> bool:
        """Let a client send a frame. Return False if API Gateway closes the connection for it."""
        client = self._open(connection_id)
        if client is None:
            return False
        if frame_bytes > FRAME_BYTES:
            self._close(connection_id, 1009)
            return False
        client.active_at = self._clock()
        return True

    def request(self, method: str, connection_id: str, body: bytes = b"") -> int:
        """Return the status of a request to the management API."""
        status = self._request(method, connection_id, body)
        self.answers[status] += 1
        return status

    def _request(self, method: str, connection_id: str, body: bytes) -> int:
        if not self._quota.take(self._clock()):
            return HTTPStatus.TOO_MANY_REQUESTS
        client = self._open(connection_id)
        if client is None:
            return HTTPStatus.GONE
        if method == "GET":
            return HTTPStatus.OK
        if method == "DELETE":
            self._close(connection_id, 1000)
            return HTTPStatus.NO_CONTENT
        return self._post(client, body)

    def _post(self, client: Client, body: bytes) -> int:
        if len(body) > MESSAGE_BYTES:
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        now = self._clock()
        if client.bytes_per_second != READS_ALL:
            client.waiting = max(0.0, client.waiting - (now - client.read_at) * client.bytes_per_second)
            client.read_at = now
            if client.waiting + len(body) > self._buffer_bytes:
                self.first_refused.setdefault(client.connection_id, now)
                return HTTPStatus.TOO_MANY_REQUESTS
            client.waiting += len(body)
        client.active_at = now
        if self._on_message is None:
            client.received.append((now, body))
        else:
            self._on_message(client.connection_id, now, body)
        return HTTPStatus.OK

    def _open(self, connection_id: str) -> Client | None:
        """Return the client of a connection that is open now."""
        client = self.clients.get(connection_id)
        now = self._clock()
        if client is None or connection_id in self.closed or now < client.opens_at:
            return None
        if now - client.connected_at >= LIFE_SECONDS or now - client.active_at >= IDLE_SECONDS:
            self._close(connection_id, 1001)
            return None
        return client

    def _close(self, connection_id: str, code: int) -> None:
        self.closed[connection_id] = self._clock(), code
