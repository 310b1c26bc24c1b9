"""Handles `/health`, `/lb/status`, `/status`, `/metrics`, and the documentation at `/docs`.

`/status` and `/metrics` require a bearer token if the configuration says so. A status is collected at most once in a
few seconds, however many requests arrive.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from hmac import compare_digest
from pathlib import Path
from typing import Any, Protocol

import orjson
from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.types import OpenAPIResponse

from chaincast.config.function_settings import Settings
from chaincast.errors import Code, RequestError
from chaincast.http_api.documents import BalancerStatus, Error, Health, Status
from chaincast.http_api.routing import Routes, json_response
from chaincast.metrics.recorder import MetricsRecorder
from chaincast.status.prometheus import CONTENT_TYPE, exposition
from chaincast.status.report import DeploymentStatus, health
from chaincast.version import VERSION

FRESH_SECONDS = 5.0
"""Seconds for which a collected status is used again."""

_NO_STORE = {"cache-control": "no-store"}
_PAGE_HEADERS = {
    "cache-control": "public, max-age=300",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
    "x-content-type-options": "nosniff",
}
_UNAUTHORIZED: dict[int, OpenAPIResponse] = {401: {"description": Error.__doc__ or ""}}


class Collector(Protocol):
    """Collects the status (chaincast/status/collector.py)."""

    def collect(self) -> DeploymentStatus: ...


class StatusHandler:
    """Handles requests about the deployment. `routes` declares them.

    `pages`: folder with the documentation, made when the stack is synthesized. `metrics_token`: returns the token that
    `/status` and `/metrics` require.
    """

    def __init__(
        self,
        settings: Settings,
        collector: Collector,
        metrics_token: Callable[[], str],
        pages: Path,
        metrics: MetricsRecorder,
        logger: Logger,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._collector = collector
        self._metrics_token = metrics_token
        self._pages = pages
        self._clock = clock
        self._last: DeploymentStatus | None = None
        self.routes = Routes(metrics, logger)
        self._declare()

    def _declare(self) -> None:
        app = self.routes.app
        down: dict[int, OpenAPIResponse] = {503: {"description": "clients cannot be served"}}
        app.get("/health", summary="State of every part", responses=down)(self.get_health)
        app.get("/lb/status", summary="State for load balancers", responses=down)(self.get_balancer_status)
        app.get("/status", summary="Health, settings, metrics", responses=_UNAUTHORIZED)(self.get_status)
        app.get("/metrics", summary="Metrics for Prometheus", responses=_UNAUTHORIZED)(self.get_metrics)
        app.get("/docs", summary="This documentation as a page", include_in_schema=False)(self.get_docs)
        app.get("/docs/asyncapi.json", summary="The WebSocket protocols (AsyncAPI 3)")(self.get_asyncapi)
        app.get("/docs/openapi.json", summary="This HTTP API (OpenAPI 3.1)")(self.get_openapi)

    def current(self) -> DeploymentStatus:
        """Return the status, at most a few seconds old."""
        if self._last is None or self._clock() - self._last.now > FRESH_SECONDS:
            self._last = self._collector.collect()
        return self._last

    def get_health(self) -> Response[Health]:
        """Respond with the state of every part; 503 if clients cannot be served."""
        status = self.current()
        return json_response(200 if status.working else 503, health(status, VERSION), _NO_STORE)

    def get_balancer_status(self) -> Response[BalancerStatus]:
        """Respond to a load balancer."""
        status = self.current()
        words = "healthy" if status.working else "unhealthy"
        document = {"status": words, "healthy": status.working, "connections": status.connections}
        return json_response(200 if status.working else 503, document, _NO_STORE)

    def get_status(self) -> Response[Status]:
        """Respond with health, settings and metrics."""
        self._check_token()
        status = self.current()
        values = {**status.counts, **status.open}
        settings = orjson.loads(self._settings.to_json())
        document = {**health(status, VERSION), "settings": settings, "counts": values}
        return json_response(200, document, _NO_STORE)

    def get_metrics(self) -> Response[str]:
        """Respond with metrics in Prometheus' text format."""
        self._check_token()
        body = exposition(self.current())
        return Response(status_code=200, content_type=CONTENT_TYPE, body=body, headers={**_NO_STORE})

    def get_docs(self) -> Response[str]:
        """Respond with the documentation page."""
        return self._page("index.html", "text/html; charset=utf-8")

    def get_asyncapi(self) -> Response[str]:
        """Respond with the AsyncAPI document."""
        return self._page("asyncapi.json", "application/json")

    def get_openapi(self) -> Response[str]:
        """Respond with the OpenAPI document."""
        return self._page("openapi.json", "application/json")

    def _page(self, name: str, content_type: str) -> Response[Any]:
        path = self._pages / name
        if not path.exists():
            raise RequestError(Code.UNKNOWN_ROUTE, f"{name}: this deployment was made without documentation pages")
        body = path.read_text("utf-8")
        return Response(status_code=200, content_type=content_type, body=body, headers={**_PAGE_HEADERS})

    def _check_token(self) -> None:
        """Check the bearer token for `/status` and `/metrics`. Raise `RequestError`."""
        if not self._settings.metrics_token:
            return
        given = self.routes.app.current_event.headers.get("authorization", "")
        if not given:
            raise RequestError(
                Code.AUTH_REQUIRED, "missing bearer token: send 'Authorization: Bearer TOKEN' (docs/operating.md)"
            )
        wanted = f"Bearer {self._metrics_token()}"
        if not compare_digest(given.encode("utf-8", "surrogatepass"), wanted.encode()):
            raise RequestError(Code.AUTH_FAILED, "invalid token: send the value of the stack's secret MetricsToken")
