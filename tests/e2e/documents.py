"""The clients of the five servers that Chaincast replaces, and the messages that their documents promise.

`documented/NAME.mjs` is a client with the library, the URL and the calls of a server's document. `documented/NAME.json`
has a document's messages with values of our own; what counts is their shape.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "documented"


def program(server: str, **names: str) -> str:
    """Return a client's program, with the given texts in place of the names in capitals."""
    text = (FOLDER / f"{server}.mjs").read_text(encoding="utf-8")
    for name, value in names.items():
        assert name in text, name
        text = text.replace(name, value)
    return text


def documented(server: str, name: str) -> dict[str, Any]:
    """Return a message of a server's document."""
    messages: dict[str, dict[str, Any]] = json.loads((FOLDER / f"{server}.json").read_text(encoding="utf-8"))
    return messages[name]


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
