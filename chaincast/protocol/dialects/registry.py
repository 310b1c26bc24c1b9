"""The registry of dialects.

To add a dialect:

1. Write `chaincast/protocol/dialects/NAME/codec.py` with a class that implements `Dialect` (base.py). Its constructor
   takes the deployment's `Chains`. Functions that only encode use it, too, so it must not import pydantic.
2. Write `chaincast/protocol/dialects/NAME/messages.py` with `decode`, which `Dialect.decode` imports and calls, and
   `MODELS` (verb → pydantic model), which the AsyncAPI page describes.
3. Add a line to `_CODECS` below. Negotiation, fan-out, heartbeat, generated documents and the tests that run over all
   dialects take the name from there.
4. If a message alone identifies the dialect, let `negotiation.detect_dialect` recognise it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module

from chaincast.errors import Code, RequestError
from chaincast.protocol.dialects.base import Chains, Dialect

DEFAULT = "chaincast.v1"
"""Dialect of a client that does not name one."""

_CODECS: dict[str, tuple[str, str]] = {
    "chaincast.v1": ("chaincast.protocol.dialects.chaincast_v1.codec", "ChaincastV1"),
    "coremem": ("chaincast.protocol.dialects.coremem.codec", "Coremem"),
    "moonx": ("chaincast.protocol.dialects.moonx.codec", "Moonx"),
    "socketio": ("chaincast.protocol.dialects.socketio.codec", "SocketIo"),
    "socketio/kaspump": ("chaincast.protocol.dialects.socketio.codec", "kaspump"),
    "socketio/adstack": ("chaincast.protocol.dialects.socketio.codec", "adstack"),
    "socketio/moonx-gateway": ("chaincast.protocol.dialects.socketio.codec", "moonx_gateway"),
}
"""Name → module and class (or function) that makes the codec.

The full names of modules are written out because the bundler of the functions finds imports by them. A name
`DIALECT/VOCABULARY` is what fan-out encodes events in for subscriptions made with a verb of that vocabulary.
"""

NAMES = tuple(name for name in _CODECS if "/" not in name)
"""Dialects that a connection can speak."""

VOCABULARY_NAMES = tuple(name for name in _CODECS if "/" in name)
"""Dialects that only encode events, in one vocabulary of the dialect before the slash."""


@cache
def _make(name: str, chains: tuple[tuple[str, int], ...]) -> Dialect:
    module, factory_name = _CODECS[name]
    factory: Callable[[Chains], Dialect] = getattr(import_module(module), factory_name)
    return factory(dict(chains))


def get(name: str, chains: Chains) -> Dialect:
    """Return the codec of a dialect.

    Its module is imported on first use, so that a function pays only for the dialects that its clients speak.
    `chains`: the deployment's networks. Raises `RequestError` with UNKNOWN_DIALECT.
    """
    if name not in _CODECS:
        raise RequestError(Code.UNKNOWN_DIALECT, f"unknown dialect {name[:40]!r}; known: {', '.join(_CODECS)}")
    return _make(name, tuple(chains.items()))
