"""The token that came with a handshake, wherever the client could put it.

A browser's WebSocket cannot send headers of its own: it has the subprotocol (`chaincast.token.JWT` beside the
dialect's), a cookie, or, where that is allowed, the query string, which ends up in logs.
"""

from __future__ import annotations

from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie

from chaincast.protocol.subprotocol import TOKEN_SUBPROTOCOL

_BEARER = "bearer "


def extract_token(headers: Mapping[str, str], query: Mapping[str, str], *, cookie: str, in_query: bool) -> str:
    """The token, or the empty string. `headers` by lower-case name; `cookie`: the name of the one that carries it,
    empty if none does; `in_query`: whether `?token=` counts."""
    authorization = headers.get("authorization", "")
    if authorization[: len(_BEARER)].lower() == _BEARER:
        return authorization[len(_BEARER) :].strip()
    for offered in headers.get("sec-websocket-protocol", "").split(","):
        if offered.strip().startswith(TOKEN_SUBPROTOCOL):
            return offered.strip().removeprefix(TOKEN_SUBPROTOCOL)
    if cookie and (found := _cookie(headers.get("cookie", ""), cookie)):
        return found
    return query.get("token", "") if in_query else ""


def _cookie(header: str, name: str) -> str:
    try:
        found = SimpleCookie(header).get(name)
    except CookieError:
        return ""
    return "" if found is None else found.value
