"""The public keys of a token issuer: a JSON Web Key Set (RFC 7517), fetched when it is needed and cached.

Issuers change their keys. Therefore an unknown key id causes a fetch, but not more often than every few seconds,
however many such tokens arrive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from chaincast.errors import Code, RequestError

if TYPE_CHECKING:
    from jwt import PyJWK

ALGORITHMS: Final = ("RS256", "ES256", "EdDSA")

MAX_AGE_SECONDS = 3_600
"""Seconds after which cached keys are fetched again."""

STALE_SECONDS = 86_400
"""Maximum age, in seconds, of cached keys that are used because they cannot be fetched again."""

FETCH_PAUSE_SECONDS = 10
"""Minimum seconds between two fetches, so that tokens with unknown key ids cost no request each."""

MAX_KEYS = 100


class JwksCache:
    """The cached key set of an issuer. Not thread-safe.

    `fetch` returns the key set as parsed JSON. It may raise any exception if it cannot.
    """

    def __init__(self, fetch: Callable[[], Any], clock: Callable[[], float] = monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._keys: Mapping[str, PyJWK] = {}
        self._fetched_at = self._tried_at = float("-inf")

    def get(self, key_id: str | None) -> PyJWK:
        """Return the key with an id. If `key_id` is None, return the only key of the set.

        Raises `RequestError` with AUTH_FAILED if there is no such key, AUTH_UNAVAILABLE if the keys cannot be fetched.
        """
        now = self._clock()
        is_due = self._find(key_id) is None or now - self._fetched_at > MAX_AGE_SECONDS
        if is_due and now - self._tried_at >= FETCH_PAUSE_SECONDS:
            self._tried_at = now
            self._refresh(now)
        if now - self._fetched_at > STALE_SECONDS:
            raise RequestError(Code.AUTH_UNAVAILABLE, "tokens cannot be checked now: the issuer's keys are unavailable")
        key = self._find(key_id)
        if key is None:
            raise RequestError(Code.AUTH_FAILED, f"Invalid token: its issuer has no key {str(key_id)[:60]!r}")
        return key

    def _find(self, key_id: str | None) -> PyJWK | None:
        if key_id is None:
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(key_id)

    def _refresh(self, now: float) -> None:
        """Fetch the key set. If that fails, keep the cached keys."""
        from jwt import PyJWK, PyJWTError  # imported here, because most deployments have no key set

        try:
            entries = self._fetch()["keys"]
        except Exception:  # of any kind: the cached keys are used as long as they may be
            return
        if not isinstance(entries, list):
            return
        keys: dict[str, PyJWK] = {}
        for number, entry in enumerate(entries[:MAX_KEYS]):
            if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
                continue
            try:
                key = PyJWK.from_dict(entry)
            except (PyJWTError, ValueError, TypeError):
                continue  # a key type that is not supported
            if key.algorithm_name in ALGORITHMS:
                keys[str(key.key_id or number)] = key
        self._keys, self._fetched_at = keys, now
