"""Removes secrets from values before they are logged: tokens, tickets, and the values of fields that hold secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

SCRUBBED: Final = "[scrubbed]"

_SECRET = re.compile(
    r"ey[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]*\.?[A-Za-z0-9_-]*"  # a JSON Web Token begins with {" in base64
    r"|cct_[A-Za-z0-9_-]{16,}"  # a ticket
    r"|(?:(?<=[?&]token=)|(?<=[?&]ticket=))[^&\s\"']+"
    r"|(?i:(?<=bearer )[^\s\"',]+)"
)
_NAMES = re.compile(r"^(.*[_-])?(authorization|cookie|password|secret|ticket|token)$", re.IGNORECASE)
_DEEPEST = 12


def scrubbed(value: object, depth: int = 0) -> object:
    """Return the value with all secrets replaced, also inside mappings and lists."""
    if isinstance(value, str):
        return _SECRET.sub(SCRUBBED, value)
    if depth >= _DEEPEST:
        return SCRUBBED
    if isinstance(value, Mapping):
        return {
            _SECRET.sub(SCRUBBED, str(name)): SCRUBBED
            if _NAMES.match(str(name)) and isinstance(inner, str)
            else scrubbed(inner, depth + 1)
            for name, inner in value.items()
        }
    if isinstance(value, (list, tuple, set, frozenset)):
        return [scrubbed(inner, depth + 1) for inner in value]
    return value
