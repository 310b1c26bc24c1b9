"""The registry of dialects: adding one is one module here and one line below."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module

from chaincast.errors import ClientError, Code
from chaincast.protocol.dialects.base import Chains, Dialect

DEFAULT = "chaincast.v1"

_MODULES: dict[str, tuple[str, str]] = {
    "chaincast.v1": ("chaincast.protocol.dialects.chaincast_v1.codec", "ChaincastV1"),
    "coremem": ("chaincast.protocol.dialects.coremem.codec", "Coremem"),
    "moonx": ("chaincast.protocol.dialects.moonx.codec", "Moonx"),
    "socketio": ("chaincast.protocol.dialects.socketio.codec", "SocketIo"),
    "socketio/kaspump": ("chaincast.protocol.dialects.socketio.codec", "kaspump"),
    "socketio/adstack": ("chaincast.protocol.dialects.socketio.codec", "adstack"),
    "socketio/moonx-gateway": ("chaincast.protocol.dialects.socketio.codec", "moonx_gateway"),
}

NAMES = tuple(name for name in _MODULES if "/" not in name)
"""What a connection can speak; the others are the vocabularies of one of these."""

VOCABULARY_NAMES = tuple(name for name in _MODULES if "/" in name)


@cache
def _make(name: str, chains: tuple[tuple[str, int], ...]) -> Dialect:
    module, class_ = _MODULES[name]
    factory: Callable[[Chains], Dialect] = getattr(import_module(module), class_)
    return factory(dict(chains))


def get(name: str, chains: Chains) -> Dialect:
    """The dialect of that name, imported on first use: a function pays only for those its clients speak.

    `chains`: the deployment's networks. Raises `ClientError` with `UNKNOWN_DIALECT`.
    """
    if name not in _MODULES:
        raise ClientError(Code.UNKNOWN_DIALECT, f"unknown dialect {name[:40]!r}; known: {', '.join(_MODULES)}")
    return _make(name, tuple(chains.items()))
