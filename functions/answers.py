"""What the functions of the HTTP API answer: JSON."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from chaincast.errors import ClientError, Code
from functions.events import HttpAnswer


def json_answer(status: int, document: object, headers: Mapping[str, str] | None = None) -> HttpAnswer:
    """An answer; `document` None: one without a body."""
    return {
        "statusCode": status,
        "headers": {"content-type": "application/json", **(headers or {})},
        "body": "" if document is None else orjson.dumps(document).decode(),
    }


def error_document(error: ClientError) -> dict[str, str]:
    """What is said of a request that cannot be served."""
    return {"code": error.code.value, "message": error.message}


FAULT = {"code": Code.INTERNAL.value, "message": "the request could not be handled; try again"}
"""What is said where the fault is ours."""
