"""The registry of dialects: adding one is one module here and one line below."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module

from chaincast.dialects.base import Dialect
from chaincast.errors import ClientError, Code

DEFAULT = "chaincast.v1"

_MODULES: dict[str, tuple[str, str]] = {
    "chaincast.v1": ("chaincast.dialects.chaincast_v1", "ChaincastV1"),
}

NAMES = tuple(_MODULES)


@cache
def get(name: str) -> Dialect:
    """The dialect of that name, imported on first use: a function pays only for those its clients speak.

    Raises `ClientError` with `UNKNOWN_DIALECT`.
    """
    if name not in _MODULES:
        raise ClientError(Code.UNKNOWN_DIALECT, f"unknown dialect {name[:40]!r}; known: {', '.join(NAMES)}")
    module, class_ = _MODULES[name]
    factory: Callable[[], Dialect] = getattr(import_module(module), class_)
    return factory()
