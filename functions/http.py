"""The HTTP API: `POST /publish`. Who may call it, API Gateway has checked (IAM, or a JWT with its scope)."""

from __future__ import annotations

import time
from base64 import b64decode
from typing import TYPE_CHECKING, Any

import orjson
from aws_lambda_powertools.event_handler import Response

from chaincast.aws.lambda_events import HttpEvent, HttpResponse
from chaincast.config.function_settings import Settings
from chaincast.errors import ClientError, Code
from chaincast.http_api.documents import PublishedDocument
from chaincast.http_api.routing import Routes, json_response
from chaincast.metrics.logger import make_logger
from chaincast.metrics.recorder import MetricsRecorder
from chaincast.publishing.appender import Busy
from chaincast.publishing.service import Answer, make_intake

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = make_logger("http")
metrics = MetricsRecorder("http")
routes = Routes(metrics, logger)
app = routes.app

MAX_BODY = 1_000_000

intake = make_intake(Settings.from_environment())


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
@metrics.flush_after
def handler(event: HttpEvent, context: LambdaContext) -> HttpResponse:
    return routes.resolve(event, context)


@app.post(
    "/publish",
    summary="Tell events: one item, or up to 100 (docs/publishing.md)",
    responses={207: {"description": "some items were refused"}, 400: {"description": "nothing was told"}},
)
def post_publish() -> Response[PublishedDocument]:
    headers = app.current_event.headers
    answer = intake.publish(_items(), headers.get("idempotency-key"), int(time.time() * 1000))
    refused = len(answer.results) - answer.accepted
    logger.info(
        "published",
        accepted=answer.accepted,
        refused=refused,
        repeated=answer.repeated,
        trace_ids=answer.trace_ids[:20],
    )
    metrics.count("EventsPublished", 0 if answer.repeated else answer.accepted)
    metrics.count("EventsRefused", refused)
    return json_response(200 if not refused else 207 if answer.accepted else 400, _document(answer))


def busy(error: Busy) -> Response[Any]:
    """Others were faster, too often in a row."""
    logger.warning("busy", error=str(error))
    return json_response(503, {"code": "BUSY", "message": "others publish the same; try again"}, {"retry-after": "1"})


routes.on_error(Busy, busy)


def _document(answer: Answer) -> dict[str, object]:
    document: dict[str, object] = {"accepted": answer.accepted, "results": answer.results}
    return {**document, "repeated": True} if answer.repeated else document


def _items() -> list[object]:
    """The items of the body: an array of them, or one by itself. Raises `ClientError`."""
    event = app.current_event
    body: str = event.get("body") or ""
    data = b64decode(body) if event.is_base64_encoded else body.encode("utf-8", "surrogatepass")
    if len(data) > MAX_BODY:
        raise ClientError(Code.TOO_LARGE, f"the body has {len(data)} bytes; at most {MAX_BODY}")
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise ClientError(Code.BAD_JSON, f"the body is not JSON: {error}") from None
    return document if isinstance(document, list) else [document]
