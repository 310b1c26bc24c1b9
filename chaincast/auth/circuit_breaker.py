"""A circuit breaker, so that requests to a service that does not respond fail at once instead of after a timeout."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

MAX_FAILURES = 3
"""Number of consecutive failures after which the circuit is open: no requests are made."""

OPEN_SECONDS = 10.0
"""After this many seconds one trial request is allowed (half-open). If it fails, the circuit stays open again."""


class CircuitBreaker:
    """The circuit of one service, as this process sees it. Not thread-safe."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._last_request = float("-inf")

    def allows_request(self) -> bool:
        """Return True if a request may be made. The caller must then report its result."""
        if self._failures >= MAX_FAILURES and self._clock() - self._last_request < OPEN_SECONDS:
            return False
        self._last_request = self._clock()
        return True

    def record_success(self) -> None:
        """Report that the service responded, even if it refused the request."""
        self._failures = 0

    def record_failure(self) -> None:
        """Report that the service did not respond, or not in a way that can be understood."""
        self._failures += 1
        self._last_request = self._clock()
