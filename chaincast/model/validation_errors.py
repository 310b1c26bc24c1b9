"""Plain text for pydantic's validation errors, which are written for the programmer of the model, not for its user.

This module does not import pydantic: it reads the dictionaries that `ValidationError.errors()` returns
(https://docs.pydantic.dev/latest/errors/validation_errors/).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

MAX_VALUE_LENGTH: Final = 60
"""Maximum number of characters of a value that an error quotes."""

_MAX_PATH_LENGTH: Final = 120
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")

_MUST_BE: Final[Mapping[str, str]] = {
    "string_type": "a string",
    "int_type": "an integer",
    "int_parsing": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "none_required": "null",
    "list_type": "an array",
    "tuple_type": "an array",
    "dict_type": "an object",
    "mapping_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
}
"""Type of pydantic's error → what the value must be, in the words of JSON (RFC 8259)."""

_RULES: Final[Mapping[str, str]] = {
    "string_too_short": "it must have at least {min_length} characters",
    "string_too_long": "it must have at most {max_length} characters",
    "string_pattern_mismatch": "it must match {pattern}",
    "too_short": "it must have at least {min_length} items",
    "too_long": "it must have at most {max_length} items",
    "finite_number": "it must be a finite number",
    "greater_than": "it must be greater than {gt}",
    "greater_than_equal": "it must be at least {ge}",
    "less_than": "it must be less than {lt}",
    "less_than_equal": "it must be at most {le}",
    "literal_error": "it must be one of {expected}",
    "enum": "it must be one of {expected}",
}
"""Type of pydantic's error → the rule that the value breaks; the braces name members of the error's context."""


def describe_errors(
    errors: Sequence[ErrorDetails], document: object, document_name: str = "message", parent: str = ""
) -> str:
    """Return one sentence on the first wrong field: "<field> is <value>: <rule>", in at most 500 characters.

    `document`: the value that was validated. `document_name`: its name, for errors that concern it as a whole.
    `parent`: name of the field that the document is the value of; the names of its fields then begin with it.
    """
    located = [(_path(error, document), error) for error in errors]
    field = located[0][0][:1]
    # A union reports errors for each of its alternatives. The alternative that fits best has the deepest path, and a
    # wrong member rather than a missing one.
    candidates = [(path, error) for path, error in located if path[:1] == field]
    path, _ = max(candidates, key=lambda candidate: (len(candidate[0]), candidate[1]["type"] != "missing"))
    same_field = [error for other, error in candidates if other == path]
    name = ".".join([*filter(None, [parent]), *map(_field_name, path)]) or document_name
    if len(name) > _MAX_PATH_LENGTH:
        name = name[:_MAX_PATH_LENGTH] + "…"
    match same_field[0]["type"]:
        case "missing":
            return f"{name} is missing: it is required"
        case "extra_forbidden":
            return f"{name} is not a known field: remove it"
    return f"{name} is {quote_value(same_field[0]['input'])}: {_rule(same_field)}"


def quote_value(value: object) -> str:
    """Return a value as errors quote it: in Python's notation, shortened to 60 characters."""
    text = repr(value)
    return text if len(text) <= MAX_VALUE_LENGTH else text[: MAX_VALUE_LENGTH - 3] + "…"


def _path(error: ErrorDetails, document: object) -> tuple[str | int, ...]:
    """Return the keys and indexes that lead to the wrong field.

    Pydantic's location also names alternatives of unions ("str", a model's class). Only names and indexes that exist
    in the document are fields; a missing field is the last part of its location.
    """
    path: list[str | int] = []
    value: Any = document
    location = error["loc"]
    for position, part in enumerate(location):
        is_key = isinstance(value, dict) and part in value
        is_index = isinstance(value, list) and isinstance(part, int) and part < len(value)
        if is_key or is_index:
            path.append(part)
            value = value[part]
        elif error["type"] == "missing" and position == len(location) - 1:
            path.append(part)
    return tuple(path)


def _field_name(part: str | int) -> str:
    """Return a part of a path; a key that is not a plain name was chosen by the client and is quoted."""
    text = str(part)
    return text if _PLAIN_NAME.fullmatch(text) else quote_value(text)


def _rule(errors: Sequence[ErrorDetails]) -> str:
    """Return the rule that a field breaks; if it may have several types and has none of them, all types."""
    specific = [error for error in errors if error["type"] not in _MUST_BE]
    if not specific:
        types = dict.fromkeys(_MUST_BE[error["type"]] for error in errors)
        if "a number" in types:
            types.pop("an integer", None)
        return f"it must be {' or '.join(types)}"
    error = specific[0]
    context = error.get("ctx", {})
    if error["type"] == "value_error":  # raised by a validator of ours, in our own words
        return str(context["error"])
    if context.get("min_length") == 1:
        return "it must not be empty"
    template = _RULES.get(error["type"])
    return template.format(**context) if template else "it is not a valid value"
