"""A circuit breaker: who asks a service that does not answer should not wait for it each time."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

FAILURES = 3
"""After so many in a row the circuit is open: nobody asks."""

PAUSE_SECONDS = 10.0
"""Then one may try; if that fails, too, again after as long."""


class CircuitBreaker:
    """One service's circuit, as this process sees it. Not for several threads."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._tried = float("-inf")

    def allows_request(self) -> bool:
        """Whether to ask now; if the answer is yes, tell how it went."""
        if self._failures >= FAILURES and self._clock() - self._tried < PAUSE_SECONDS:
            return False
        self._tried = self._clock()
        return True

    def answered(self) -> None:
        """The service answered, whatever."""
        self._failures = 0

    def failed(self) -> None:
        """It did not."""
        self._failures += 1
        self._tried = self._clock()
