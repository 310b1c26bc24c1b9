"""The public keys of whoever issues tokens: a JSON Web Key Set (RFC 7517), fetched when it is needed and kept.

Issuers change their keys: a key that is not known is looked for, but not more often than once in a while, whoever asks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from chaincast.errors import ClientError, Code

if TYPE_CHECKING:
    from jwt import PyJWK

ALGORITHMS: Final = ("RS256", "ES256", "EdDSA")
MAX_AGE_SECONDS = 3_600
"""How long keys are good without being looked at again."""

STALE_SECONDS = 86_400
"""How long they are used when they cannot be looked at."""

PAUSE_SECONDS = 10
"""Between two looks: what comes with a key that nobody has costs no request each."""

MAX_KEYS = 100


class JwksCache:
    """`fetch` gets the key set as JSON, and raises what it likes where it cannot. Not for several threads."""

    def __init__(self, fetch: Callable[[], Any], clock: Callable[[], float] = monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._keys: Mapping[str, PyJWK] = {}
        self._fetched = self._tried = float("-inf")

    def of(self, kid: str | None) -> PyJWK:
        """The key of that id; without one, the only key there is. Raises `ClientError`: AUTH_FAILED if there is none,
        AUTH_UNAVAILABLE if that cannot be known."""
        now = self._clock()
        if (self._find(kid) is None or now - self._fetched > MAX_AGE_SECONDS) and now - self._tried >= PAUSE_SECONDS:
            self._tried = now
            self._look(now)
        if now - self._fetched > STALE_SECONDS:
            raise ClientError(Code.AUTH_UNAVAILABLE, "tokens cannot be checked now; try again")
        found = self._find(kid)
        if found is None:
            raise ClientError(Code.AUTH_FAILED, f"Invalid token: its issuer has no key {str(kid)[:60]!r}")
        return found

    def _find(self, kid: str | None) -> PyJWK | None:
        if kid is None:
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(kid)

    def _look(self, now: float) -> None:
        from jwt import PyJWK, PyJWTError  # only where there are keys

        try:
            listed = self._fetch()["keys"]
        except Exception:  # of whatever kind: what is known is used as long as it may be
            return
        if not isinstance(listed, list):
            return
        found: dict[str, PyJWK] = {}
        for place, entry in enumerate(listed[:MAX_KEYS]):
            if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
                continue
            try:
                key = PyJWK.from_dict(entry)
            except (PyJWTError, ValueError, TypeError):
                continue  # of a kind that nobody here can use
            if key.algorithm_name in ALGORITHMS:
                found[str(key.key_id or place)] = key
        self._keys, self._fetched = found, now
