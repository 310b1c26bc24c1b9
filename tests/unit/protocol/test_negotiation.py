from __future__ import annotations

import pytest

from chaincast.errors import Code, RequestError
from chaincast.protocol.dialects.negotiation import DialectChoice, choose_dialect, detect_dialect


@pytest.mark.parametrize(
    ("query", "subprotocols", "choice"),
    [
        ({}, "", DialectChoice("chaincast.v1", undecided=True)),
        ({"dialect": "coremem"}, "", DialectChoice("coremem")),
        ({}, "chaincast.moonx", DialectChoice("moonx", "chaincast.moonx")),
        ({}, "chaincast.token.a.b.c, chaincast.moonx", DialectChoice("moonx", "chaincast.moonx")),
        ({"EIO": "4", "transport": "websocket"}, "", DialectChoice("socketio", requires_join=True)),
        ({"EIO": "4", "transport": "websocket", "dialect": "moonx"}, "", DialectChoice("socketio", requires_join=True)),
        ({"dialect": "chaincast.v1"}, "", DialectChoice("chaincast.v1")),
        ({}, "chaincast.v1", DialectChoice("chaincast.v1", "chaincast.v1")),
        ({}, "graphql-ws, chaincast.v1", DialectChoice("chaincast.v1", "chaincast.v1")),
        ({}, "graphql-ws", DialectChoice("chaincast.v1", undecided=True)),
        ({"dialect": "chaincast.v1"}, "chaincast.v1", DialectChoice("chaincast.v1", "chaincast.v1")),
    ],
)
def test_the_handshake_names_the_dialect(query: dict[str, str], subprotocols: str, choice: DialectChoice) -> None:
    assert choose_dialect(query, subprotocols) == choice


@pytest.mark.parametrize(
    ("query", "subprotocols"),
    [({"dialect": "v9"}, ""), ({"dialect": ""}, ""), ({}, "chaincast.v9"), ({"dialect": "socketio/kaspump"}, "")],
)
def test_an_unknown_dialect_is_refused(query: dict[str, str], subprotocols: str) -> None:
    with pytest.raises(RequestError, match=r"known: chaincast\.v1") as caught:
        choose_dialect(query, subprotocols)
    assert caught.value.code == Code.UNKNOWN_DIALECT


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"transport": "websocket"}, "EIO is missing"),
        ({"EIO": "3", "transport": "websocket"}, "EIO is '3'"),
        ({"EIO": "abc", "transport": "websocket"}, "EIO is 'abc'"),
        ({"EIO": "4"}, "transport is missing"),
        ({"EIO": "4", "transport": "polling"}, "transport is 'polling'"),
        ({"EIO": "4", "transport": "websocket", "sid": "x"}, "without a sid"),
    ],
)
def test_an_unsupported_engine_io_handshake_is_refused_with_what_is_supported(
    query: dict[str, str], words: str
) -> None:
    with pytest.raises(RequestError, match=words) as caught:
        choose_dialect(query, "")
    assert caught.value.code == Code.UNKNOWN_DIALECT


@pytest.mark.parametrize(
    ("body", "dialect"),
    [
        (b'{"type":"subscribe","channel":"prices"}', "coremem"),
        (b'{"type":"unsubscribe","channel":"prices"}', "coremem"),
        (b'{"id":"1","type":"ping","timestamp":1,"data":{}}', "moonx"),
        (b'{"id":"1","type":"subscribe","timestamp":1,"data":{"channel":"prices"}}', "moonx"),
        (b'{"type":"subscribe","topics":["tokens:*"]}', "chaincast.v1"),
        (b'{"type":"get","what":"price"}', "chaincast.v1"),
        (b'{"type":"ping"}', None),
        (b"40", None),
        (b'42["subscribe:token",{}]', None),
        (b"", None),
        (b"[1]", None),
        (b'{"channel":"' + b"x" * 40_000 + b'"}', None),
    ],
)
def test_a_message_identifies_the_dialect(body: bytes, dialect: str | None) -> None:
    assert detect_dialect(body) == dialect


def test_a_token_subprotocol_alone_cannot_be_confirmed() -> None:
    with pytest.raises(RequestError, match="offer another, too"):
        choose_dialect({}, "chaincast.token.a.b.c")
