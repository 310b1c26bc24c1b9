"""Signed calls to one AWS service over the pool."""

from __future__ import annotations

import time

from chaincast.aws.http import HttpPool, Response
from chaincast.aws.sigv4 import Credentials, Signer, payload_hash


class ServiceClient:
    """Signed POST requests to one service's endpoint; made once per execution environment, for all invocations."""

    def __init__(self, endpoint: str, region: str, service: str, connections: int) -> None:
        self._pool = HttpPool(endpoint, connections)
        self._region = region
        self._service = service
        self._signer = Signer(Credentials.from_environment(), region, service)

    def refresh_credentials(self) -> None:
        """Sign with what the environment holds now, if Lambda changed it."""
        credentials = Credentials.from_environment()
        if credentials != self._signer.credentials:
            self._signer = Signer(credentials, self._region, self._service)

    async def post(
        self, path: str, body: bytes, body_hash: str | None = None, extra: tuple[tuple[str, str], ...] = ()
    ) -> Response:
        """POST `body` to `path` (percent-encoded, relative to the endpoint's). Raises `HttpError`.

        `body_hash` is `payload_hash(body)` where the caller has it already; `extra` as `Signer.headers` wants it.
        """
        pool = self._pool
        path = pool.path + path
        signature = self._signer.headers("POST", pool.host, path, body_hash or payload_hash(body), time.time(), extra)
        lines = "".join(f"{name}: {value}\r\n" for name, value in extra)
        head = f"POST {path} HTTP/1.1\r\nHost: {pool.host}\r\n{lines}{signature}Content-Length: {len(body)}\r\n\r\n"
        return await pool.request(head.encode() + body)

    def close(self) -> None:
        self._pool.close()
