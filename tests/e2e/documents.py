"""The documents of the servers that Chaincast takes the place of: their code, and the shape of their messages."""

from __future__ import annotations

import re
from typing import Any

import pytest

from local.stack.checkout import ROOT

FOLDER = ROOT.parent / "shared" / "reference"
MISSING = "needs ../shared/reference, the five servers' documents"

needs_documents = pytest.mark.skipif(not FOLDER.exists(), reason=MISSING)


def code(document: str, *marks: str) -> str:
    """The first block of code that has all these marks in it, as it stands there."""
    text = (FOLDER / document).read_text()
    blocks: list[str] = re.findall(r"```(?:typescript|javascript|json|ts|js)\n(.*?)```", text, re.DOTALL)
    return next(block for block in blocks if all(mark in block for mark in marks))


def shape(value: Any) -> Any:
    """What a value is made of: an object's fields, an array's element, or the JSON type."""
    match value:
        case dict():
            return {name: shape(inner) for name, inner in value.items()}
        case list():
            return [shape(value[0])] if value else []
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
    return "null"


def lacking(message: Any, documented: Any, where: str = "it") -> list[str]:
    """What a message lacks, or has of another type, of what its document shows; more than that it may have."""
    match documented:
        case dict():
            if not isinstance(message, dict):
                return [f"{where} is no object: {message!r}"]
            missing = [f"{where}.{name} is missing" for name in documented if name not in message]
            there = [(name, inner) for name, inner in documented.items() if name in message]
            return missing + [p for name, inner in there for p in lacking(message[name], inner, f"{where}.{name}")]
        case list():
            if not isinstance(message, list) or (documented and not message):
                return [f"{where} is no array of any: {message!r}"]
            return lacking(message[0], documented[0], f"{where}[0]") if documented else []
    return [] if shape(message) == shape(documented) else [f"{where} is {message!r}, not a {shape(documented)}"]
