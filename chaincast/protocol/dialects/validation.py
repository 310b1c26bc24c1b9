"""A client's message against the model of it: every JSON dialect refuses in the same words."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from chaincast.errors import ClientError, Code

M = TypeVar("M", bound=BaseModel)


def validate_message(adapter: TypeAdapter[M], document: object, what: str, skip: int = 0) -> M:
    """The message. Raises `ClientError` with `BAD_MESSAGE`, saying where `what` is wrong; `skip`: so many of the places
    that the adapter names say only which model it was."""
    try:
        return adapter.validate_python(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(p) for p in first["loc"][skip:]) or "it"
        raise ClientError(
            Code.BAD_MESSAGE, f"{what}: {where} is {quote_value(first['input'])}: {first['msg']}"
        ) from None


def quote_value(value: object) -> str:
    """A value as errors show it."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
