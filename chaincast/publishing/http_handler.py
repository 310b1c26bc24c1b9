"""Handles `POST /publish`. API Gateway has checked the caller's right (IAM, or a JWT with the configured scope)."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import orjson
from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import Response

from chaincast.errors import Code, RequestError
from chaincast.http_api.documents import PublishedDocument
from chaincast.http_api.routing import Routes, json_response
from chaincast.metrics.recorder import MetricsRecorder
from chaincast.model.clock import now_ms
from chaincast.publishing.appender import Busy
from chaincast.publishing.service import PublishResult

MAX_BODY_BYTES = 1_000_000


class Publisher(Protocol):
    """Publishes items (chaincast/publishing/service.py)."""

    def publish(self, items: Sequence[object], key: str | None, now_ms: int) -> PublishResult: ...


class PublishHttpHandler:
    """Handles requests of backends. `routes` declares them."""

    def __init__(
        self, service: Publisher, metrics: MetricsRecorder, logger: Logger, clock: Callable[[], int] = now_ms
    ) -> None:
        self._service = service
        self._metrics = metrics
        self._logger = logger
        self._clock = clock
        self.routes = Routes(metrics, logger)
        self.routes.app.post(
            "/publish",
            summary="Publish one event, or an array of them (docs/publishing.md)",
            responses={207: {"description": "some events were refused"}, 400: {"description": "all were refused"}},
        )(self.post_publish)
        self.routes.on_error(Busy, self._busy)

    def post_publish(self) -> Response[PublishedDocument]:
        """Publish the events of the body. The status is 200 if all were accepted, 207 for some, 400 for none."""
        key = self.routes.app.current_event.headers.get("idempotency-key")
        result = self._service.publish(self._items(), key, self._clock())
        refused = len(result.results) - result.accepted
        self._logger.info(
            "published",
            accepted=result.accepted,
            refused=refused,
            repeated=result.repeated,
            trace_ids=result.trace_ids[:20],
        )
        self._metrics.count("EventsPublished", 0 if result.repeated else result.accepted)
        self._metrics.count("EventsRefused", refused)
        return json_response(200 if not refused else 207 if result.accepted else 400, _document(result))

    def _busy(self, error: Busy) -> Response[Any]:
        self._logger.warning("busy", error=str(error))
        message = "other publishers append to the same source; retry"
        return json_response(503, {"code": "BUSY", "message": message}, {"retry-after": "1"})

    def _items(self) -> list[object]:
        """Return the items of the body: an array of them, or a single one. Raise `RequestError`."""
        event = self.routes.app.current_event
        body: str = event.get("body") or ""
        data = b64decode(body) if event.is_base64_encoded else body.encode("utf-8", "surrogatepass")
        if len(data) > MAX_BODY_BYTES:
            raise RequestError(Code.TOO_LARGE, f"the body has {len(data)} bytes; at most {MAX_BODY_BYTES}")
        try:
            document = orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise RequestError(Code.BAD_JSON, f"the body is not JSON: {error}") from None
        return document if isinstance(document, list) else [document]


def _document(result: PublishResult) -> dict[str, object]:
    document: dict[str, object] = {"accepted": result.accepted, "results": result.results}
    return {**document, "repeated": True} if result.repeated else document
