"""The AWS emulator of the local stack, with random faults.

MiniStack's own Python runs this script, like local/stack/patched_ministack.py. While the file that `CHAINCAST_CHAOS`
names exists, calls of functions and listeners fail with the probabilities in it (JSON, by name of the fault). Each
fault is a line `CHAOS name` in the log. Calls of the chaos test itself, which it marks by their user agent, never fail.
"""

from __future__ import annotations

import json
import os
import random
import sys
import threading
import time
from pathlib import Path
from typing import Any, TypeAlias

sys.path.insert(0, str(Path(__file__).parents[2]))

from ministack.core import lambda_runtime
from ministack.services import apigateway, dynamodb, lambda_svc, sqs

from local.stack import patched_ministack
from tests.chaos.emulator_names import ADMINISTRATOR

Response: TypeAlias = tuple[int, dict[str, str], bytes]

STALL_SECONDS = (0.1, 12.0)
"""Seconds for which a client does not read. After about eight its connection is closed."""

_ODDS = Path(os.environ["CHAINCAST_CHAOS"])
_dice = random.Random(int(os.environ["CHAINCAST_SEED"]))
_lock = threading.Lock()
_read: tuple[float, dict[str, float]] = (0.0, {})


def strikes(name: str) -> bool:
    """Return True if a fault happens now, and write it to the log."""
    global _read  # noqa: PLW0603 - a cache of the file
    now = time.monotonic()
    with _lock:
        if now - _read[0] > 0.2:
            try:
                _read = now, json.loads(_ODDS.read_text())
            except (OSError, ValueError):
                _read = now, {}
        struck = _dice.random() < _read[1].get(name, 0.0)
    if struck:
        print(f"CHAOS {name}", flush=True)
    return struck


def _refusal(status: int, kind: str, **more: object) -> Response:
    body = {"__type": f"com.amazonaws#{kind}", "message": "chaos", "Message": "chaos", **more}
    return status, {"Content-Type": "application/x-amz-json-1.0"}, json.dumps(body).encode()


def _is_exempt(headers: dict[str, str]) -> bool:
    return ADMINISTRATOR in headers.get("user-agent", headers.get("User-Agent", ""))


def fail_tables() -> None:
    """Throttle calls, cancel transactions by conflicts, and lose responses after the work was done."""
    handle = dynamodb.handle_request

    async def failing(method: str, path: str, headers: dict[str, str], body: bytes, query: Any) -> Any:
        target = headers.get("x-amz-target", "").rpartition(".")[2]
        if _is_exempt(headers) or not target:
            return await handle(method, path, headers, body, query)
        if strikes("throttled"):
            return _refusal(400, "ProvisionedThroughputExceededException")
        if target == "TransactWriteItems" and strikes("cancelled"):
            reasons = [{"Code": "TransactionConflict", "Message": "chaos"} for _ in json.loads(body)["TransactItems"]]
            return _refusal(400, "TransactionCanceledException", CancellationReasons=reasons)
        response = await handle(method, path, headers, body, query)
        if target in ("UpdateItem", "PutItem", "DeleteItem", "BatchWriteItem") and strikes("answer-lost"):
            return _refusal(500, "InternalServerError")
        return response

    dynamodb.handle_request = failing


def fail_queues() -> None:
    """Fail sends before or after the message is stored, return nothing from receives, and deliver messages twice."""
    handle, receive, run = sqs.handle_request, sqs._receive_messages_for_esm, lambda_svc._run_sqs_batch

    async def failing(method: str, path: str, headers: dict[str, str], body: bytes, query: Any) -> Any:
        sends = headers.get("x-amz-target", "").endswith("SendMessage")
        if not sends or _is_exempt(headers):
            return await handle(method, path, headers, body, query)
        if strikes("send-failed"):
            return _refusal(500, "InternalFailure")
        response = await handle(method, path, headers, body, query)
        return _refusal(500, "InternalFailure") if strikes("send-answer-lost") else response

    def receiving(*arguments: Any, **named: Any) -> Any:
        return [] if strikes("receive-failed") else receive(*arguments, **named)

    def twice(esm: Any, func_rec: Any, event: Any, *more: Any) -> Any:
        result = run(esm, func_rec, event, *more)
        if strikes("delivered-twice"):
            lambda_svc._execute_function(func_rec, event)
        return result

    sqs.handle_request = failing
    sqs._receive_messages_for_esm = receiving
    lambda_svc._run_sqs_batch = twice


def kill_functions() -> None:
    """Kill processes of functions during an invocation, as a failing host would."""
    invoke = lambda_runtime.Worker.invoke

    def killing(self: Any, *arguments: Any, **named: Any) -> Any:
        if strikes("function-killed"):
            threading.Timer(_dice.uniform(0.002, 0.06), lambda: self._proc and self._proc.kill()).start()
        return invoke(self, *arguments, **named)

    lambda_runtime.Worker.invoke = killing


def lose_disconnects() -> None:
    """Skip invocations for `$disconnect`, which API Gateway makes on a best-effort basis."""
    invoke = apigateway._invoke_ws_lambda

    async def losing(*arguments: Any, **named: Any) -> Any:
        if arguments[6] == "DISCONNECT" and strikes("disconnect-lost"):
            return None
        return await invoke(*arguments, **named)

    apigateway._invoke_ws_lambda = losing


def stall_clients() -> None:
    """Respond 429 to every post to a connection for some seconds, as if its client did not read."""
    handle = apigateway.handle_connections_api
    stalled: dict[str, float] = {}

    async def stalling(method: str, api_id: str, stage: str, connection: str, *more: Any) -> Any:
        if method == "POST":
            if connection not in stalled and strikes("client-stalls"):
                stalled[connection] = time.monotonic() + _dice.uniform(*STALL_SECONDS)
            if stalled.get(connection, 0.0) > time.monotonic():
                return _refusal(429, "LimitExceededException")
            stalled.pop(connection, None)
        return await handle(method, api_id, stage, connection, *more)

    apigateway.handle_connections_api = stalling


if __name__ == "__main__":
    fail_tables()
    stall_clients()
    fail_queues()
    kill_functions()
    lose_disconnects()
    patched_ministack.main()
