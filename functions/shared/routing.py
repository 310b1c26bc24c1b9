"""The HTTP API's functions: Powertools' resolver finds the route and checks parameters; refusals are in our words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

import orjson
from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError

from chaincast.errors import ClientError, Code
from chaincast.metrics.recorder import Telemetry
from functions.shared.aws_events import HttpAnswer, HttpEvent

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
"""Of refusals; any other is 400."""

FAULT = {"code": Code.INTERNAL.value, "message": "the request could not be handled; try again"}
"""What is said where the fault is ours."""


class Routes:
    """One function's routes. Use `app` to declare them, `resolve` to answer an event."""

    def __init__(self, telemetry: Telemetry, logger: Logger) -> None:
        self.app = APIGatewayHttpResolver(
            enable_validation=True, serializer=lambda document: orjson.dumps(document).decode()
        )
        self._telemetry = telemetry
        self._logger = logger
        self.on(ClientError, self.refusal)
        self.on(RequestValidationError, self._bad_parameter)
        self.on(Exception, self.fault)
        self.app.not_found(self._unknown)

    def on(self, kind: type[Exception], answer: Callable[..., Response[Any]]) -> None:
        """How an exception is answered."""
        self.app.exception_handler(kind)(answer)

    def resolve(self, event: HttpEvent, context: LambdaContext) -> HttpAnswer:
        """The answer to a request."""
        answer = cast(HttpAnswer, self.app.resolve({**event}, context))
        route = event.get("routeKey", "$default")
        self._telemetry.count("Requests", route=route, status=str(answer["statusCode"]))
        return answer

    def refusal(self, error: ClientError, headers: Mapping[str, str] | None = None) -> Response[Any]:
        """What is answered to a request that cannot be served."""
        self._telemetry.refused(error)
        return json_answer(STATUS.get(error.code, 400), error_document(error), headers)

    def _bad_parameter(self, error: RequestValidationError) -> Response[Any]:
        wrong = error.errors()[0]
        if wrong["loc"][0] == "response":  # what we answered is not what we promise
            return self.fault(error)
        where = ".".join(str(part) for part in wrong["loc"])
        return self.refusal(
            ClientError(Code.BAD_MESSAGE, f"{where}: {wrong['msg']} (it is {wrong.get('input')!r:.80})")
        )

    def _unknown(self, _: NotFoundError) -> Response[Any]:
        event = self.app.current_event
        asked = f"{event.http_method} {event.path}"
        return self.refusal(ClientError(Code.UNKNOWN_ROUTE, f"{asked!r:.200} is not known: see /docs"))

    def fault(self, _: Exception, headers: Mapping[str, str] | None = None) -> Response[Any]:
        """What is answered where the fault is ours."""
        self._logger.exception("request failed")
        return json_answer(500, FAULT, headers)


def json_answer(status: int, document: object, headers: Mapping[str, str] | None = None) -> Response[Any]:
    """An answer in JSON; `document` None: one without a body."""
    body = "" if document is None else document  # as it is: the resolver checks it against what the route promises
    return Response(status_code=status, content_type="application/json", body=body, headers={**(headers or {})})


def error_document(error: ClientError) -> dict[str, str]:
    """What is said of a request that cannot be served."""
    return {"code": error.code.value, "message": error.message}
