"""MiniStack with patches for the differences from AWS that the stack depends on.

MiniStack's own Python (`.ministack`) runs this script. The docstring of each patch says how AWS behaves. docs/local.md
lists the patches and the differences that remain.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
import sys
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
_OUTBOX_POLL_SECONDS = 0.5
_OUTBOX_SECONDS = 60.0
_FUNCTION_FAILED = 500
"""Status code that MiniStack reports if a function raised or died. The stack's own functions respond with 200."""


def patch_route_responses() -> None:
    """Let CloudFormation create AWS::ApiGatewayV2::RouteResponse. MiniStack supports it in the API only."""

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


def patch_route_selection() -> None:
    """Select route $default for a body that cannot be parsed. In MiniStack, deep nesting ends the connection.

    In API Gateway a message cannot select $connect or $disconnect, which are reserved.
    """
    evaluate = apigateway._evaluate_route_selection

    def patched(expression: str, body: str) -> str:
        try:
            route = evaluate(expression, body)
        except RecursionError:
            return "$default"
        return "$default" if route in ("$connect", "$disconnect") else route

    apigateway._evaluate_route_selection = patched


_handshake: contextvars.ContextVar[dict[str, Any]] = contextvars.ContextVar("handshake")


def patch_websockets() -> None:
    """Behave on the wire as API Gateway does.

    - The response of `$connect` determines the headers of the upgrade (a browser that requested a subprotocol needs the
      confirmation), and the status of a refused upgrade.
    - A message of more than 32 KB closes the connection with code 1009. (API Gateway's limit is that of a frame, and
      128 KB for a message; ASGI does not say how many frames a message had, and nearly all clients send one.)
    - A deleted connection accepts no more messages.
    - If a function fails, the client gets API Gateway's own error message.
    """
    handle = apigateway.handle_websocket
    invoke = apigateway._invoke_ws_lambda

    async def invoke_keeping_headers(*args: Any, **kwargs: Any) -> Any:
        response = await invoke(*args, **kwargs)
        if args[6] == "CONNECT" and isinstance(response, dict):
            _handshake.get({}).update(response | {"connection": args[5]})
        if args[6] == "MESSAGE" and isinstance(response, dict) and response.get("statusCode") == _FUNCTION_FAILED:
            error = {"message": "Internal server error", "connectionId": args[5], "requestId": args[7]}
            return response | {"body": json.dumps(error)}
        return response

    async def patched(scope: Any, receive: Any, send: Send, *args: Any, **kwargs: Any) -> None:
        handshake: dict[str, Any] = {}
        _handshake.set(handshake)
        accepted, closed = asyncio.Event(), asyncio.Event()

        async def receive_checked() -> AsgiMessage:
            message: AsgiMessage = await receive()
            # MiniStack has a record of the connection before its first message; deleting the connection removes it.
            connection = handshake.get("connection")
            if connection is not None and connection not in apigateway._ws_connections and accepted.is_set():
                closed.set()
                await send({"type": "websocket.close", "code": 1000})
                while message["type"] != "websocket.disconnect":  # read the rest, or the client's close would block
                    message = await receive()
                return message
            text, data = message.get("text"), message.get("bytes")
            if max(len(text.encode()) if text else 0, len(data or b"")) > MAX_FRAME_BYTES:
                closed.set()
                await send({"type": "websocket.close", "code": 1009})
                return {"type": "websocket.disconnect", "code": 1009}
            return message

        async def receive_ending() -> AsgiMessage:
            message = await receive_checked()
            if message["type"] == "websocket.disconnect":
                _wake_outbox(handshake.get("connection"))
            return message

        async def send_with_headers(message: AsgiMessage) -> None:
            status, headers = int(handshake.get("statusCode", 200)), handshake.get("headers") or {}
            if message["type"] == "websocket.accept":
                accepted.set()
                by_name = {name.lower(): value for name, value in headers.items()}
                if subprotocol := by_name.get("sec-websocket-protocol"):
                    message = {**message, "subprotocol": subprotocol}
            elif message["type"] == "websocket.close" and status >= 300 and _can_refuse(scope):
                sent = [(name.lower().encode(), str(value).encode()) for name, value in headers.items()]
                await send({"type": "websocket.http.response.start", "status": status, "headers": sent})
                await send({"type": "websocket.http.response.body", "body": str(handshake.get("body") or "").encode()})
                return
            if not (message["type"] == "websocket.close" and closed.is_set()):
                await send(message)

        await handle(scope, receive_ending, send_with_headers, *args, **kwargs)

    apigateway._invoke_ws_lambda = invoke_keeping_headers
    apigateway.handle_websocket = patched


def _wake_outbox(connection: str | None) -> None:
    record = apigateway._ws_connections.get(connection)
    if record is not None:
        record["outbox"].put_nowait(None)


class _PatientAsyncio:
    """The module asyncio, but with a longer timeout where MiniStack polls twice a second."""

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    @staticmethod
    async def wait_for(awaitable: Awaitable[Any], timeout: float | None) -> Any:  # noqa: ASYNC109 - as asyncio's
        return await asyncio.wait_for(awaitable, _OUTBOX_SECONDS if timeout == _OUTBOX_POLL_SECONDS else timeout)


def patch_outboxes() -> None:
    """Poll less often for closed connections. MiniStack polls twice a second, which takes a core for 4,000 of them.

    The end of a connection wakes the waiting task (in MiniStack's `DeleteConnection`, and by `_wake_outbox`).
    """
    apigateway.asyncio = _PatientAsyncio()


def _can_refuse(scope: Any) -> bool:
    return "websocket.http.response" in (scope.get("extensions") or {})


def patch_secure_transport() -> None:
    """Treat calls from loopback as encrypted. Calls to AWS use TLS, those to MiniStack do not.

    With AUTH=true, policies that require `aws:SecureTransport` (of the CDK's bucket, and of the stack's queues) would
    otherwise deny every call.
    """
    pin = iam_evaluator.pin_request_origin

    def patched(source_ip: str, secure_transport: bool) -> None:
        pin(source_ip, secure_transport or source_ip.startswith("127."))

    iam_evaluator.pin_request_origin = app.pin_request_origin = patched


def print_function_logs() -> None:
    """Print the logs of functions. MiniStack discards them if a WebSocket message invoked the function."""
    invoke = lambda_runtime.Worker.invoke

    def printing(self: Any, event: Any, *args: Any, **kwargs: Any) -> Any:
        result = invoke(self, event, *args, **kwargs)
        by_websocket = isinstance(event, dict) and "connectionId" in (event.get("requestContext") or {})
        if by_websocket and isinstance(result, dict) and result.get("log"):
            print(result["log"].rstrip(), flush=True)
        return result

    lambda_runtime.Worker.invoke = printing


def patch_batch_permissions() -> None:
    """Authorize a batch request of SQS as the single one: IAM knows sqs:SendMessage, but no sqs:SendMessageBatch.

    Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon SQS".
    """
    enforce = iam_evaluator.enforce

    def patched(access_key: str, action: str, *args: Any, **more: Any) -> Any:
        return enforce(access_key, action.removesuffix("Batch") if action.startswith("sqs:") else action, *args, **more)

    iam_evaluator.enforce = app.enforce = patched


def print_decisions() -> None:
    """Print the decisions of IAM (with `--enforce-iam`), as CloudTrail records calls. Callers may hide a denial."""
    enforce, evaluate = iam_evaluator.enforce, iam_evaluator.evaluate

    def evaluating(ctx: Any, *policies: Any) -> Any:
        result = evaluate(ctx, *policies)
        if result.decision == "Allow":
            _print_line(f"IAM allowed {ctx.principal_arn} {ctx.action} {ctx.resource_arn}")
        return result

    def printing(access_key: str, action: str, service: str, region: str, resource_arn: str = "*", **more: Any) -> Any:
        denied = enforce(access_key, action, service, region, resource_arn=resource_arn, **more)
        if isinstance(denied, iam_evaluator.EvalResult):
            _print_line(f"IAM denied {denied.principal_arn} {action} {resource_arn}")
        return denied

    iam_evaluator.evaluate = evaluating
    iam_evaluator.enforce = app.enforce = printing


def _print_line(text: str) -> None:
    # `print` writes the end of the line separately, so that lines of several threads can mix.
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def patch_expressions() -> None:
    """Parse a condition expression once. MiniStack parses and checks it again for every item of a partition.

    With some thousand batches in the event log, a replay took seconds, and the jobs that wait for it timed out.
    """
    evaluate = dynamodb._evaluate_condition
    tokens_of = lru_cache(maxsize=1000)(dynamodb._tokenize)
    checked: set[tuple[str, str]] = set()

    def patched(expr: str, item: Any, attr_values: Any, attr_names: Any, slot: str = "ConditionExpression") -> Any:
        # The check of BETWEEN depends on the values, all other checks on the text of the expression.
        if (expr, slot) not in checked or "BETWEEN" in expr.upper():
            result = evaluate(expr, item, attr_values, attr_names, slot)
            checked.add((expr, slot))
            return result
        try:
            return dynamodb._ExprEval(tokens_of(expr), item, attr_values, attr_names).evaluate()
        except ValueError:
            return evaluate(expr, item, attr_values, attr_names, slot)  # raises with the message of AWS

    dynamodb._evaluate_condition = patched


def main() -> None:
    """Apply the patches and run MiniStack."""
    patch_expressions()
    patch_secure_transport()
    print_decisions()
    patch_batch_permissions()
    print_function_logs()
    patch_route_responses()
    patch_route_selection()
    patch_websockets()
    patch_outboxes()
    app.main()


if __name__ == "__main__":
    main()
