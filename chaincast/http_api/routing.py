"""Routes of the HTTP API: Powertools matches them and checks parameters; errors get this project's format."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import orjson
from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError

from chaincast.aws.lambda_events import HttpEvent, HttpResponse
from chaincast.errors import Code, RequestError
from chaincast.metrics.recorder import MetricsRecorder
from chaincast.model.validation_errors import describe_errors

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

STATUS = {
    Code.AUTH_REQUIRED: 401,
    Code.AUTH_FAILED: 401,
    Code.AUTH_UNAVAILABLE: 503,
    Code.FORBIDDEN_ORIGIN: 403,
    Code.FORBIDDEN_ADDRESS: 403,
    Code.UNKNOWN_ROUTE: 404,
    Code.NOT_CONNECTED: 404,
    Code.KEY_REUSED: 409,
    Code.UNSUPPORTED: 409,
    Code.TOO_LARGE: 413,
    Code.TOO_MANY_EVENTS: 413,
}
"""HTTP status of each error code. The status of all other codes is 400."""

INTERNAL_ERROR = {"code": Code.INTERNAL.value, "message": "the request could not be handled; try again"}
"""Response body for an unexpected exception. Its cause is logged and not sent."""


class Routes:
    """The routes of one function: declare them on `app`, handle events with `resolve`."""

    def __init__(self, metrics: MetricsRecorder, logger: Logger) -> None:
        self.app = APIGatewayHttpResolver(
            enable_validation=True, serializer=lambda document: orjson.dumps(document).decode()
        )
        self._metrics = metrics
        self._logger = logger
        self.on_error(RequestError, self.error_response)
        self.on_error(RequestValidationError, self._invalid_parameter)
        self.on_error(Exception, self.internal_error)
        self.app.not_found(self._unknown_route)

    def on_error(self, kind: type[Exception], respond: Callable[..., Response[Any]]) -> None:
        """Set the function that makes the response to an exception. It replaces the one that was set before."""
        self.app.exception_handler(kind)(respond)

    def resolve(self, event: HttpEvent, context: LambdaContext) -> HttpResponse:
        """Handle a request and count it."""
        response = cast(HttpResponse, self.app.resolve({**event}, context))
        route = event.get("routeKey", "$default")
        self._metrics.count("Requests", route=route, status=str(response["statusCode"]))
        return response

    def error_response(self, error: RequestError, headers: Mapping[str, str] | None = None) -> Response[Any]:
        """Return the response to a request that is refused, and count the refusal."""
        self._metrics.count_refusal(error)
        return json_response(STATUS.get(error.code, 400), error_document(error), headers)

    def internal_error(self, _: Exception, headers: Mapping[str, str] | None = None) -> Response[Any]:
        """Log the current exception and return a response without details."""
        self._logger.exception("request failed")
        return json_response(500, INTERNAL_ERROR, headers)

    def _invalid_parameter(self, error: RequestValidationError) -> Response[Any]:
        errors = error.errors()
        if errors[0]["loc"][0] == "response":  # our response does not match the type that its route declares
            return self.internal_error(error)
        return self.error_response(RequestError(Code.BAD_MESSAGE, describe_errors(errors, _parameters(errors))))

    def _unknown_route(self, _: NotFoundError) -> Response[Any]:
        event = self.app.current_event
        request = f"{event.http_method} {event.path}"
        return self.error_response(RequestError(Code.UNKNOWN_ROUTE, f"{request!r:.200} is not known: see /docs"))


def _parameters(errors: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, object]]:
    """Return the parameters that `errors` are about: location ("query", "path") → name → value."""
    found: dict[str, dict[str, object]] = {}
    for error in errors:
        location, *name = error["loc"]
        if name and error["type"] != "missing":
            found.setdefault(str(location), {})[str(name[0])] = error.get("input")
    return found


def json_response(status: int, document: object, headers: Mapping[str, str] | None = None) -> Response[Any]:
    """Return a response with a JSON body. If `document` is None, the body is empty."""
    body = "" if document is None else document  # not serialized: the resolver checks it against the route's type
    return Response(status_code=status, content_type="application/json", body=body, headers={**(headers or {})})


def error_document(error: RequestError) -> dict[str, str]:
    """Return the response body for an error."""
    return {"code": error.code.value, "message": error.message}
