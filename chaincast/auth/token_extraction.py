"""Finds the token of a handshake, in any of the places where clients can put it.

A WebSocket of a browser cannot send headers of its own. It can use the subprotocol (`chaincast.token.JWT` in addition
to the dialect's), a cookie, or, if the configuration allows it, the query string, which ends up in logs.
"""

from __future__ import annotations

from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie

from chaincast.protocol.subprotocol import TOKEN_SUBPROTOCOL

_BEARER = "bearer "


def extract_token(headers: Mapping[str, str], query: Mapping[str, str], *, cookie: str, in_query: bool) -> str:
    """Return the token; the empty string if there is none.

    `headers` has lower-case names. `cookie` is the name of the cookie that carries tokens, empty if none does.
    `in_query` says if the query parameter `token` is read.
    """
    authorization = headers.get("authorization", "")
    if authorization[: len(_BEARER)].lower() == _BEARER:
        return authorization[len(_BEARER) :].strip()
    for subprotocol in headers.get("sec-websocket-protocol", "").split(","):
        if subprotocol.strip().startswith(TOKEN_SUBPROTOCOL):
            return subprotocol.strip().removeprefix(TOKEN_SUBPROTOCOL)
    if cookie and (value := _cookie_value(headers.get("cookie", ""), cookie)):
        return value
    return query.get("token", "") if in_query else ""


def _cookie_value(header: str, name: str) -> str:
    try:
        morsel = SimpleCookie(header).get(name)
    except CookieError:
        return ""
    return "" if morsel is None else morsel.value
