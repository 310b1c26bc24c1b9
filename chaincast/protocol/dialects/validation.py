"""Validation of a client's message against its model, so that every JSON dialect reports errors in the same words.

It is apart from `json_input`, because functions that read no messages of clients must not import pydantic.
"""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from chaincast.errors import Code, RequestError
from chaincast.model.validation_errors import describe_errors

M = TypeVar("M", bound=BaseModel)


def validate_message(model: type[M], document: object, verb: str, document_name: str = "message") -> M:
    """Return the document as an instance of the model.

    `verb`: what the client asked for; the error begins with it. `document_name`: name of the document in errors that
    concern it as a whole. Raises `RequestError` with BAD_MESSAGE, which says which field is wrong and what it must be.
    """
    try:
        return model.model_validate(document)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        raise RequestError(Code.BAD_MESSAGE, f"{verb}: {describe_errors(errors, document, document_name)}") from None
