"""`Publisher`: the client with which backends publish events to a Chaincast deployment.

    from chaincast.publish import Publisher

    with Publisher("https://….execute-api.eu-central-1.amazonaws.com") as publisher:
        publisher.publish({"kind": "price", "symbol": "BTC-USDC", "data": {"price": 45000.5}})

Requests are signed with the process's AWS credentials, or carry a bearer token. The publisher repeats failed requests.
Every request has an idempotency key, so that a repeated request publishes nothing twice.
"""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import uniform
from types import TracebackType
from typing import Any, Self, TypeAlias
from uuid import uuid4

import orjson
import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.session import Session

from chaincast.errors import ChaincastError

Item: TypeAlias = Mapping[str, Any]
"""An event: `kind`, `data`, and, depending on the kind, `symbol`, `userId`, `timestamp`, `metadata`
(docs/publishing.md)."""

MAX_ITEMS = 500
MAX_BYTES = 900_000
_AGAIN = frozenset({429, 500, 502, 503, 504})


class PublishError(ChaincastError):
    """A request failed finally. `status`: HTTP status (0: no response). `code`: error code of the response."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{code or status}: {message}")
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class Refused:
    """An event that the deployment refused, with the error's code and message."""

    item: Item
    code: str
    message: str


class Publisher:
    """A client for publishing to one deployment. It may be used by several threads.

    `url`: the deployment's output `HttpUrl`. `token`: returns the current bearer token; without it, requests are signed
    with AWS credentials. `linger`: seconds that `send` waits for more events, which then share a request. `timeout`:
    seconds for which a failing request is repeated. `on_refused`: called with each event of `send` that was refused.
    """

    def __init__(
        self,
        url: str,
        *,
        token: Callable[[], str] | None = None,
        region: str | None = None,
        linger: float = 0.02,
        timeout: float = 60.0,
        on_refused: Callable[[Refused], None] | None = None,
    ) -> None:
        self._url = url.rstrip("/") + "/publish"
        self._token = token
        self._linger = linger
        self._timeout = timeout
        self._on_refused = on_refused
        self._http = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(connect=5, read=30))
        self._session = Session() if token is None else None
        self._region = (
            region or _region_of(url) or (self._session.get_config_variable("region") if self._session else "")
        )
        self._changed = threading.Condition()
        self._waiting: deque[tuple[Item, int]] = deque()
        self._sending = 0
        self._failure: PublishError | None = None
        self._closed = False
        self._thread: threading.Thread | None = None

    def publish(self, *items: Item) -> list[Refused]:
        """Publish events at once, in order. Return the refused ones; the others are stored and will be delivered.

        Raise `PublishError` if a request fails. Some of the events may then have been published.
        """
        refused = []
        for chunk in _chunks([(item, _size(item)) for item in items]):
            refused += self._post(chunk)
        return refused

    def send(self, item: Item) -> None:
        """Queue an event, which is published in order and together with others, and return without waiting.

        Raise `PublishError` if an earlier request failed, ValueError if the publisher is closed.
        """
        size = _size(item)
        with self._changed:
            self._check()
            if self._closed:
                raise ValueError("this publisher is closed")
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="chaincast publisher", daemon=True)
                self._thread.start()
            self._waiting.append((item, size))
            self._changed.notify_all()

    def flush(self) -> None:
        """Wait until all queued events are published. Raise `PublishError` if a request failed."""
        with self._changed:
            self._changed.wait_for(lambda: self._failure or not (self._waiting or self._sending))
            self._check()

    def close(self) -> None:
        """Flush and close. Raise `PublishError` if a request failed."""
        try:
            self.flush()
        finally:
            with self._changed:
                self._closed = True
                self._changed.notify_all()
            if self._thread is not None:
                self._thread.join()
            self._http.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _work(self) -> None:
        while chunk := self._take():
            try:
                for refused in self._post(chunk):
                    if self._on_refused is not None:
                        self._on_refused(refused)
            except PublishError as error:
                with self._changed:
                    self._failure = error
            with self._changed:
                self._sending = 0
                self._changed.notify_all()

    def _take(self) -> list[Item]:
        """Wait for events and return those of the next request; nothing if the publisher is closed or has failed."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed or self._failure)
            if self._linger and len(self._waiting) < MAX_ITEMS and not self._closed:
                self._changed.wait_for(lambda: len(self._waiting) >= MAX_ITEMS or self._closed, self._linger)
            if self._failure is not None or not self._waiting:
                return []
            chunk: list[Item] = []
            size = 0
            while self._waiting and len(chunk) < MAX_ITEMS:
                if chunk and size + self._waiting[0][1] > MAX_BYTES:
                    break
                item, length = self._waiting.popleft()
                chunk.append(item)
                size += length
            self._sending = len(chunk)
            return chunk

    def _post(self, items: Sequence[Item]) -> list[Refused]:
        body, key = orjson.dumps(items), uuid4().hex
        until, pause = time.monotonic() + self._timeout, 0.1
        while True:
            status, answer = self._request(body, key)
            if status in (200, 207, 400) and "results" in answer:
                pairs = zip(items, answer["results"], strict=True)
                return [Refused(item, r["code"], r["message"]) for item, r in pairs if "code" in r]
            if (status and status not in _AGAIN) or time.monotonic() + pause > until:
                words = str(answer.get("message", answer or "no answer"))
                raise PublishError(status, str(answer.get("code", "")), f"{words} ({self._url})")
            time.sleep(pause * uniform(0.5, 1))  # noqa: S311 - jitter, no secret
            pause = min(pause * 2, 5.0)

    def _credentials(self) -> Credentials:
        assert self._session is not None
        found = self._session.get_credentials()
        if found is None:
            raise PublishError(
                0, "NO_CREDENTIALS", "AWS credentials not found: configure them, or pass token= to the publisher"
            )
        return found

    def _request(self, body: bytes, key: str) -> tuple[int, dict[str, Any]]:
        """Return the response's status (0 if there is none) and its JSON object."""
        headers = {"content-type": "application/json", "idempotency-key": key}
        request = AWSRequest("POST", self._url, headers, body)
        if self._token is not None:
            request.headers["authorization"] = f"Bearer {self._token()}"
        else:
            SigV4Auth(self._credentials(), "execute-api", self._region).add_auth(request)
        try:
            response = self._http.request("POST", self._url, body=body, headers=dict(request.headers.items()))
        except urllib3.exceptions.HTTPError as error:
            return 0, {"message": str(error)}
        try:
            document = orjson.loads(response.data)
        except orjson.JSONDecodeError:
            document = {"message": response.data[:200].decode(errors="replace")}
        return response.status, document if isinstance(document, dict) else {"message": document}


def _size(item: Item) -> int:
    """Return the bytes that an event takes in a request. Raise TypeError if it is not JSON."""
    return len(orjson.dumps(item)) + 1


def _chunks(items: Sequence[tuple[Item, int]]) -> list[list[Item]]:
    chunks: list[list[Item]] = []
    size = 0
    for item, length in items:
        if not chunks or len(chunks[-1]) == MAX_ITEMS or size + length > MAX_BYTES:
            chunks.append([])
            size = 0
        chunks[-1].append(item)
        size += length
    return chunks


def _region_of(url: str) -> str:
    found = re.search(r"\.execute-api\.([a-z0-9-]+)\.amazonaws\.", url)
    return found[1] if found else ""
