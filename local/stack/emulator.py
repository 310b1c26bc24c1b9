"""Run by MiniStack's own Python (`.ministack`): MiniStack, with the faults mended that the stack would run into.

Each mend says what AWS does. docs/local.md lists them, and the differences that remain.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
from collections.abc import Awaitable, Callable, MutableMapping
from functools import lru_cache
from typing import Any, TypeAlias

from ministack import app
from ministack.core import iam_evaluator, lambda_runtime
from ministack.services import apigateway, dynamodb
from ministack.services.cloudformation import provisioners

AsgiMessage: TypeAlias = MutableMapping[str, Any]
Send: TypeAlias = Callable[[AsgiMessage], Awaitable[None]]

MAX_FRAME_BYTES = 32 * 1024
MAX_MESSAGE_BYTES = 128 * 1024
_OUTBOX_POLL_SECONDS = 0.5
_OUTBOX_SECONDS = 60.0
_FAILED = 500
"""What MiniStack notes of a function that raised or died; ours answer with 200."""


def mend_route_responses() -> None:
    """CloudFormation knows AWS::ApiGatewayV2::RouteResponse; MiniStack's only its API does."""

    def create(logical_id: str, props: dict[str, Any], stack_name: str) -> tuple[str, dict[str, str]]:
        api_id, route_id = props["ApiId"], props["RouteId"].rpartition("/")[2]
        data = {"routeResponseKey": props.get("RouteResponseKey", "$default")}
        status, _, body = apigateway._create_route_response(api_id, route_id, data)
        if status >= 400:
            raise ValueError(f"AWS::ApiGatewayV2::RouteResponse: {body!r}")
        response_id = next(reversed(apigateway._route_responses[api_id][route_id]))
        return f"{api_id}/{route_id}/{response_id}", {"RouteResponseId": response_id}

    def delete(physical_id: str, props: dict[str, Any]) -> None:
        apigateway._delete_route_response(*physical_id.split("/", 2))

    provisioners._RESOURCE_HANDLERS["AWS::ApiGatewayV2::RouteResponse"] = {"create": create, "delete": delete}


def mend_route_selection() -> None:
    """API Gateway takes the $default route for a body it cannot read; MiniStack lets deep nesting end the connection.

    Nor can a message select $connect or $disconnect: those are the gateway's own.
    """
    evaluate = apigateway._evaluate_route_selection

    def mended(expression: str, body: str) -> str:
        try:
            route = evaluate(expression, body)
        except RecursionError:
            return "$default"
        return "$default" if route in ("$connect", "$disconnect") else route

    apigateway._evaluate_route_selection = mended


_handshake: contextvars.ContextVar[dict[str, Any]] = contextvars.ContextVar("handshake")


def mend_websockets() -> None:
    """What API Gateway does on the wire and MiniStack does not.

    It sends the headers of `$connect`'s answer with the upgrade (a browser that asked for a subprotocol fails without
    the confirmation), refuses the upgrade with that answer's status, closes with 1009 what is longer than 128 KB, takes
    nothing more from a connection that was deleted, and answers in words of its own when a function fails.
    """
    handle = apigateway.handle_websocket
    invoke = apigateway._invoke_ws_lambda

    async def invoke_keeping_headers(*args: Any, **kwargs: Any) -> Any:
        answer = await invoke(*args, **kwargs)
        if args[6] == "CONNECT" and isinstance(answer, dict):
            _handshake.get({}).update(answer | {"connection": args[5]})
        if args[6] == "MESSAGE" and isinstance(answer, dict) and answer.get("statusCode") == _FAILED:
            said = {"message": "Internal server error", "connectionId": args[5], "requestId": args[7]}
            return answer | {"body": json.dumps(said)}
        return answer

    async def mended(scope: Any, receive: Any, send: Send, *args: Any, **kwargs: Any) -> None:
        answer: dict[str, Any] = {}
        _handshake.set(answer)
        accepted, closed = asyncio.Event(), asyncio.Event()

        async def receive_checked() -> AsgiMessage:
            message: AsgiMessage = await receive()
            # The first message comes when the connection is on record, which deleting it ends.
            connection = answer.get("connection")
            if connection is not None and connection not in apigateway._ws_connections and accepted.is_set():
                closed.set()
                await send({"type": "websocket.close", "code": 1000})
                while message["type"] != "websocket.disconnect":  # or the client waits for somebody to read it
                    message = await receive()
                return message
            text, data = message.get("text"), message.get("bytes")
            if max(len(text.encode()) if text else 0, len(data or b"")) > MAX_MESSAGE_BYTES:
                closed.set()
                await send({"type": "websocket.close", "code": 1009})
                return {"type": "websocket.disconnect", "code": 1009}
            return message

        async def receive_ending() -> AsgiMessage:
            message = await receive_checked()
            if message["type"] == "websocket.disconnect":
                _end_outbox(answer.get("connection"))
            return message

        async def send_with_headers(message: AsgiMessage) -> None:
            status, headers = int(answer.get("statusCode", 200)), answer.get("headers") or {}
            if message["type"] == "websocket.accept":
                accepted.set()
                wanted = {name.lower(): value for name, value in headers.items()}
                if subprotocol := wanted.get("sec-websocket-protocol"):
                    message = {**message, "subprotocol": subprotocol}
            elif message["type"] == "websocket.close" and status >= 300 and _can_refuse(scope):
                sent = [(name.lower().encode(), str(value).encode()) for name, value in headers.items()]
                await send({"type": "websocket.http.response.start", "status": status, "headers": sent})
                await send({"type": "websocket.http.response.body", "body": str(answer.get("body") or "").encode()})
                return
            if not (message["type"] == "websocket.close" and closed.is_set()):
                await send(message)

        await handle(scope, receive_ending, send_with_headers, *args, **kwargs)

    apigateway._invoke_ws_lambda = invoke_keeping_headers
    apigateway.handle_websocket = mended


def _end_outbox(connection: str | None) -> None:
    record = apigateway._ws_connections.get(connection)
    if record is not None:
        record["outbox"].put_nowait(None)


class _PatientAsyncio:
    """asyncio, but for what waits half a second and again: it is woken, so it may wait longer."""

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    @staticmethod
    async def wait_for(awaitable: Awaitable[Any], timeout: float | None) -> Any:  # noqa: ASYNC109 - as asyncio's
        return await asyncio.wait_for(awaitable, _OUTBOX_SECONDS if timeout == _OUTBOX_POLL_SECONDS else timeout)


def mend_outboxes() -> None:
    """MiniStack looks twice a second whether a connection ended: with 4,000 of them that takes a core.

    What ends one wakes what waits for it (`DeleteConnection` in MiniStack itself, `_end_outbox`).
    """
    apigateway.asyncio = _PatientAsyncio()


def _can_refuse(scope: Any) -> bool:
    return "websocket.http.response" in (scope.get("extensions") or {})


def mend_secure_transport() -> None:
    """Calls to AWS come over TLS; calls to MiniStack stay on loopback, in clear.

    So under AUTH=true policies that refuse what is not `aws:SecureTransport` (the CDK's own bucket, our queues) refuse
    everything, unless loopback counts as secure.
    """
    pin = iam_evaluator.pin_request_origin

    def mended(source_ip: str, secure_transport: bool) -> None:
        pin(source_ip, secure_transport or source_ip.startswith("127."))

    iam_evaluator.pin_request_origin = app.pin_request_origin = mended


def say_what_functions_log() -> None:
    """What a function logs, CloudWatch has; of those that a WebSocket's message runs, MiniStack throws it away."""
    invoke = lambda_runtime.Worker.invoke

    def saying(self: Any, event: Any, *args: Any, **kwargs: Any) -> Any:
        result = invoke(self, event, *args, **kwargs)
        of_websocket = isinstance(event, dict) and "connectionId" in (event.get("requestContext") or {})
        if of_websocket and isinstance(result, dict) and result.get("log"):
            print(result["log"].rstrip(), flush=True)
        return result

    lambda_runtime.Worker.invoke = saying


def say_denials() -> None:
    """With `--auth`: what a role lacks is said in the log, as CloudTrail would say it; a caller may hide it."""
    enforce = iam_evaluator.enforce

    def saying(access_key: str, action: str, service: str, region: str, resource_arn: str = "*", **more: Any) -> Any:
        denied = enforce(access_key, action, service, region, resource_arn=resource_arn, **more)
        if isinstance(denied, iam_evaluator.EvalResult):
            print(f"IAM denied {denied.principal_arn} {action} {resource_arn}", flush=True)
        return denied

    iam_evaluator.enforce = app.enforce = saying


def mend_expressions() -> None:
    """DynamoDB reads an expression once; MiniStack reads and checks it anew for every item of a partition.

    With some thousand batches in the Log, a replay took seconds, and what waits for it gave up and asked again.
    """
    evaluate = dynamodb._evaluate_condition
    tokens_of = lru_cache(maxsize=1000)(dynamodb._tokenize)
    checked: set[tuple[str, str]] = set()

    def mended(expr: str, item: Any, attr_values: Any, attr_names: Any, slot: str = "ConditionExpression") -> Any:
        # What is between two values is checked with the values; everything else is in the text.
        if (expr, slot) not in checked or "BETWEEN" in expr.upper():
            answer = evaluate(expr, item, attr_values, attr_names, slot)
            checked.add((expr, slot))
            return answer
        try:
            return dynamodb._ExprEval(tokens_of(expr), item, attr_values, attr_names).evaluate()
        except ValueError:
            return evaluate(expr, item, attr_values, attr_names, slot)  # says what is wrong, in AWS's words

    dynamodb._evaluate_condition = mended


def main() -> None:
    mend_expressions()
    mend_secure_transport()
    say_denials()
    say_what_functions_log()
    mend_route_responses()
    mend_route_selection()
    mend_websockets()
    mend_outboxes()
    app.main()


if __name__ == "__main__":
    main()
