"""The HTTP API: `POST /publish`. Who may call it, API Gateway has checked (IAM, or a JWT with its scope)."""

from __future__ import annotations

import time
from base64 import b64decode
from typing import TYPE_CHECKING

import orjson
from aws_lambda_powertools import Metrics

from chaincast.aws.append import Busy
from chaincast.aws.intake import Answer
from chaincast.aws.intakes import make_intake
from chaincast.aws.logger import make_logger
from chaincast.errors import ClientError, Code
from chaincast.settings import Settings
from functions.answers import FAULT, error_document, json_answer
from functions.events import HttpAnswer, HttpEvent

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = make_logger("http")
metrics = Metrics(namespace="Chaincast", service="http")

MAX_BODY = 1_000_000

intake = make_intake(Settings.from_environment())

_STATUS = {Code.KEY_REUSED: 409, Code.TOO_LARGE: 413, Code.TOO_MANY_EVENTS: 413, Code.UNKNOWN_ROUTE: 404}


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
@metrics.log_metrics
def handler(event: HttpEvent, context: LambdaContext) -> HttpAnswer:
    metrics.add_metric(name="Requests", unit="Count", value=1)
    try:
        if event["routeKey"] != "POST /publish":
            raise ClientError(Code.UNKNOWN_ROUTE, f"{event['routeKey']!r} is not known; known: 'POST /publish'")
        return _publish(event)
    except ClientError as error:
        metrics.add_metric(name="PublishRefused", unit="Count", value=1)
        return json_answer(_STATUS.get(error.code, 400), error_document(error))
    except Busy as error:
        logger.warning("busy", error=str(error))
        return json_answer(503, {"code": "BUSY", "message": "others publish the same; try again"}, {"retry-after": "1"})
    except Exception:
        logger.exception("request failed")
        return json_answer(500, FAULT)


def _publish(event: HttpEvent) -> HttpAnswer:
    key = next((v for k, v in event.get("headers", {}).items() if k.lower() == "idempotency-key"), None)
    answer = intake.publish(_items(event), key, int(time.time() * 1000))
    refused = len(answer.results) - answer.accepted
    logger.info(
        "published",
        accepted=answer.accepted,
        refused=refused,
        repeated=answer.repeated,
        trace_ids=answer.trace_ids[:20],
    )
    metrics.add_metric(name="EventsPublished", unit="Count", value=0 if answer.repeated else answer.accepted)
    metrics.add_metric(name="EventsRefused", unit="Count", value=refused)
    return json_answer(200 if not refused else 207 if answer.accepted else 400, _document(answer))


def _document(answer: Answer) -> dict[str, object]:
    document: dict[str, object] = {"accepted": answer.accepted, "results": answer.results}
    return {**document, "repeated": True} if answer.repeated else document


def _items(event: HttpEvent) -> list[object]:
    """The items of the body: an array of them, or one by itself. Raises `ClientError`."""
    body = event.get("body") or ""
    data = b64decode(body) if event.get("isBase64Encoded") else body.encode("utf-8", "surrogatepass")
    if len(data) > MAX_BODY:
        raise ClientError(Code.TOO_LARGE, f"the body has {len(data)} bytes; at most {MAX_BODY}")
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise ClientError(Code.BAD_JSON, f"the body is not JSON: {error}") from None
    return document if isinstance(document, list) else [document]
