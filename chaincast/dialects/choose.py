"""Which dialect a connection speaks, from its handshake (DESIGN 5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from chaincast import dialects

_PREFIX = "chaincast."


@dataclass(frozen=True, slots=True)
class Choice:
    """The dialect, and the subprotocol to confirm if the client asked by one (a browser insists on it)."""

    dialect: str
    subprotocol: str | None = None


def choose(query: Mapping[str, str], subprotocols: str) -> Choice:
    """By `?dialect=`, else by a `Sec-WebSocket-Protocol` of `chaincast.NAME`, else the default.

    Raises `ClientError` with `UNKNOWN_DIALECT` where the client names one that there is not.
    """
    offered = [p.strip() for p in subprotocols.split(",") if p.strip()]
    ours = next((p for p in offered if p.startswith(_PREFIX)), None)
    if (name := query.get("dialect")) is not None:
        return Choice(dialects.get(name).name, ours)
    if ours is None:
        return Choice(dialects.DEFAULT)
    short = ours.removeprefix(_PREFIX)
    return Choice(dialects.get(ours if ours in dialects.NAMES else short).name, ours)
