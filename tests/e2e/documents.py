"""The documents of the servers that Chaincast replaces: their code examples, and the shape of their messages."""

from __future__ import annotations

import re
from typing import Any

import pytest

from local.stack.checkout import ROOT

FOLDER = ROOT.parent / "shared" / "reference"
MISSING = "needs ../shared/reference, the five servers' documents"

needs_documents = pytest.mark.skipif(not FOLDER.exists(), reason=MISSING)


def code(document: str, *marks: str) -> str:
    """Return the first code block of a document that contains all marks, unchanged."""
    text = (FOLDER / document).read_text()
    blocks: list[str] = re.findall(r"```(?:typescript|javascript|json|ts|js)\n(.*?)```", text, re.DOTALL)
    return next(block for block in blocks if all(mark in block for mark in marks))


def shape(value: Any) -> Any:
    """Return the shape of a value: the fields of an object, the element of an array, or the JSON type."""
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
    """Return what a message lacks, or has with another type, compared with its document. It may have further fields."""
    match documented:
        case dict():
            if not isinstance(message, dict):
                return [f"{where} is no object: {message!r}"]
            missing = [f"{where}.{name} is missing" for name in documented if name not in message]
            present = [(name, inner) for name, inner in documented.items() if name in message]
            return missing + [p for name, inner in present for p in lacking(message[name], inner, f"{where}.{name}")]
        case list():
            if not isinstance(message, list) or (documented and not message):
                return [f"{where} is no array of any: {message!r}"]
            return lacking(message[0], documented[0], f"{where}[0]") if documented else []
    return [] if shape(message) == shape(documented) else [f"{where} is {message!r}, not a {shape(documented)}"]
