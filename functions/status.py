"""How the deployment is: `/health`, `/lb/status`, `/status`, `/metrics`; and its documentation: `/docs`.

`/status` and `/metrics` ask for a bearer token, if the configuration says so. What was found is good for a few
seconds, however many ask.
"""

from __future__ import annotations

import time
from base64 import b64encode
from hmac import compare_digest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from aws_lambda_powertools.event_handler import Response

from chaincast.auth.factory import make_authenticator
from chaincast.aws import boto_clients, environment
from chaincast.aws.lambda_events import HttpEvent, HttpResponse
from chaincast.aws.secrets import read_secret
from chaincast.config.function_settings import Settings
from chaincast.errors import ClientError, Code
from chaincast.http_api.documents import BalancerStatus, Error, Health, Status
from chaincast.http_api.routing import Routes, json_response
from chaincast.metrics.logger import make_logger
from chaincast.metrics.recorder import MetricsRecorder
from chaincast.status.collector import Surveyor
from chaincast.status.prometheus import CONTENT_TYPE, exposition
from chaincast.status.report import FANOUT, FANOUT_DEAD, LIFECYCLE, LIFECYCLE_DEAD, Survey, health
from chaincast.version import VERSION
from functions.composition import jwt_secret

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = make_logger("status")
metrics = MetricsRecorder("status")
routes = Routes(metrics, logger)
app = routes.app

FRESH_SECONDS = 5.0
PAGES = Path(__file__).parents[1] / "pages"
"""Made when the stack is synthesized (`python -m pages`): nothing is rendered when somebody asks."""

settings = Settings.from_environment()
authenticator = make_authenticator(settings, jwt_secret)


def _probe() -> str:
    """A token of nobody's, whose check needs the key: a JWT that names one which does not exist."""
    algorithm = "RS256" if settings.auth_jwks_url else "HS256"
    parts: tuple[dict[str, str], ...] = ({"alg": algorithm, "kid": "health"}, {"sub": "health"}, {})
    return ".".join(b64encode(orjson.dumps(part), b"-_").decode().rstrip("=") for part in parts)


def _can_check() -> bool | None:
    if settings.auth == "off":
        return None
    try:
        authenticator.authenticate(_probe())
    except ClientError as error:
        return error.code is not Code.AUTH_UNAVAILABLE
    except Exception:  # whatever the secret's keeper says
        logger.exception("tokens cannot be checked")
        return False
    return True


surveyor = Surveyor(
    boto_clients.dynamodb(),
    boto_clients.sqs(),
    {
        "connections": (environment.require_env(environment.CONNECTIONS), ("connection_id",)),
        "subscriptions": (environment.require_env(environment.SUBSCRIPTIONS), ("topic_shard", "connection_id")),
        "log": (environment.require_env(environment.LOG), ("source", "cursor")),
        "history": (environment.require_env(environment.HISTORY), ("topic", "position")),
        "state": (environment.require_env(environment.STATE), ("key", "sort")),
    },
    {
        FANOUT: environment.require_env(environment.FANOUT_QUEUE),
        FANOUT_DEAD: environment.require_env(environment.FANOUT_DLQ),
        LIFECYCLE: environment.require_env(environment.LIFECYCLE_QUEUE),
        LIFECYCLE_DEAD: environment.require_env(environment.LIFECYCLE_DLQ),
    },
    settings.block_ms,
    _can_check,
)
_last: Survey | None = None


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
@metrics.flush_after
def handler(event: HttpEvent, context: LambdaContext) -> HttpResponse:
    return routes.resolve(event, context)


def survey() -> Survey:
    """How it is, as of a few seconds ago at most."""
    global _last  # noqa: PLW0603 - what this process found last
    if _last is None or time.time() - _last.now > FRESH_SECONDS:
        _last = surveyor.survey()
    return _last


@app.get("/health", summary="How every part is", responses={503: {"description": "down"}})
def get_health() -> Response[Health]:
    found = survey()
    return json_response(200 if found.working else 503, health(found, VERSION), _NEVER_KEPT)


@app.get("/lb/status", summary="For load balancers", responses={503: {"description": "down"}})
def get_balancer_status() -> Response[BalancerStatus]:
    found = survey()
    words = "healthy" if found.working else "unhealthy"
    document = {"status": words, "healthy": found.working, "connections": found.connections}
    return json_response(200 if found.working else 503, document, _NEVER_KEPT)


@app.get("/status", summary="Health, settings, figures", responses={401: {"description": Error.__doc__ or ""}})
def get_status() -> Response[Status]:
    _check_reader()
    found = survey()
    figures = {**found.counts, **found.open}
    document = {**health(found, VERSION), "settings": orjson.loads(settings.to_json()), "figures": figures}
    return json_response(200, document, _NEVER_KEPT)


@app.get("/metrics", summary="For Prometheus", responses={401: {"description": Error.__doc__ or ""}})
def get_metrics() -> Response[str]:
    _check_reader()
    return Response(status_code=200, content_type=CONTENT_TYPE, body=exposition(survey()), headers={**_NEVER_KEPT})


@app.get("/docs", summary="This, for people", include_in_schema=False)
def get_docs() -> Response[str]:
    return _page("index.html", "text/html; charset=utf-8")


@app.get("/docs/asyncapi.json", summary="The WebSocket protocols (AsyncAPI 3)")
def get_asyncapi() -> Response[str]:
    return _page("asyncapi.json", "application/json")


@app.get("/docs/openapi.json", summary="This HTTP API (OpenAPI 3.1)")
def get_openapi() -> Response[str]:
    return _page("openapi.json", "application/json")


_NEVER_KEPT = {"cache-control": "no-store"}
_PAGE_HEADERS = {
    "cache-control": "public, max-age=300",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
    "x-content-type-options": "nosniff",
}


def _page(name: str, content_type: str) -> Response[Any]:
    path = PAGES / name
    if not path.exists():
        raise ClientError(Code.UNKNOWN_ROUTE, f"this deployment was made without {name}")
    return Response(status_code=200, content_type=content_type, body=path.read_text("utf-8"), headers={**_PAGE_HEADERS})


def _check_reader() -> None:
    """Whether who asks may know figures and settings. Raises `ClientError`."""
    if not settings.figures_token:
        return
    given = app.current_event.headers.get("authorization", "")
    if not given:
        raise ClientError(Code.AUTH_REQUIRED, "whose? Send the header Authorization: Bearer TOKEN (docs/operating.md)")
    wanted = f"Bearer {read_secret(environment.require_env(environment.METRICS_TOKEN))}"
    if not compare_digest(given.encode("utf-8", "surrogatepass"), wanted.encode()):
        raise ClientError(Code.AUTH_FAILED, "Invalid token: the stack's secret MetricsToken holds the right one")
