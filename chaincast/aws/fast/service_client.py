"""Signed calls to one AWS service through a pool."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from chaincast.aws.fast.connection import AfterResponse, HttpError
from chaincast.aws.fast.pool import Pool
from chaincast.aws.fast.sigv4 import Credentials, Signer, payload_hash


@dataclass(frozen=True, slots=True)
class Response:
    """A complete HTTP response."""

    status: int
    body: bytes


class Payload:
    """A request body that is sent many times. It is hashed once. `tail`: the end of the head, and the body."""

    __slots__ = ("hash", "tail")

    def __init__(self, body: bytes) -> None:
        self.hash = payload_hash(body)
        self.tail = b"\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


class ServiceClient:
    """Sends signed POST requests to one service. It is made once per execution environment, for all invocations."""

    def __init__(self, pool: Pool, region: str, service: str) -> None:
        self.pool = pool
        self._region = region
        self._service = service
        self._credentials = Credentials.from_environment()
        self._signers: dict[tuple[tuple[str, str], ...], Signer] = {}

    def refresh_credentials(self) -> None:
        """Use the credentials of the environment, which Lambda may have changed."""
        credentials = Credentials.from_environment()
        if credentials != self._credentials:
            self._credentials = credentials
            self._signers.clear()

    def head(self, path: str, payload: Payload, extra: tuple[tuple[str, str], ...] = ()) -> bytes:
        """Return the signed head of a request, which `payload.tail` completes. It is valid for five minutes.

        `path` is relative to the endpoint's path. `path` and `extra` must be as `Signer` expects them.
        """
        signer = self._signers.get(extra)
        if signer is None:
            pool = self.pool
            signer = Signer(self._credentials, self._region, self._service, pool.host, extra)
            self._signers[extra] = signer
        return signer.head(self.pool.path + path, payload.hash, time.time()).encode()

    async def post(self, path: str, body: bytes, extra: tuple[tuple[str, str], ...] = ()) -> Response:
        """Send a POST request and return its response. Raise `HttpError` if there is none."""
        payload = Payload(body)
        call = _Call(lambda: self.head(path, payload, extra) + payload.tail)
        self.pool.submit(call)
        return await call.done

    async def close(self) -> None:
        """Close the pool."""
        await self.pool.close()


class _Call:
    """A request with a future for its response. `make` returns the signed request."""

    def __init__(self, make: Callable[[], bytes]) -> None:
        self._make = make
        self.done: asyncio.Future[Response] = asyncio.get_running_loop().create_future()

    def request(self, now: float) -> bytes | None:
        return None if self.done.done() else self._make()

    def answered(self, status: int, body: bytes) -> AfterResponse:
        if not self.done.done():
            self.done.set_result(Response(status, body))
        return AfterResponse.FINISHED

    def broken(self, error: HttpError) -> None:
        if not self.done.done():
            self.done.set_exception(error)
