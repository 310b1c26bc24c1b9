from __future__ import annotations

import pytest

from chaincast.dialects.choose import Choice, choose
from chaincast.errors import ClientError, Code


@pytest.mark.parametrize(
    ("query", "subprotocols", "choice"),
    [
        ({}, "", Choice("chaincast.v1")),
        ({"dialect": "chaincast.v1"}, "", Choice("chaincast.v1")),
        ({}, "chaincast.v1", Choice("chaincast.v1", "chaincast.v1")),
        ({}, "graphql-ws, chaincast.v1", Choice("chaincast.v1", "chaincast.v1")),
        ({}, "graphql-ws", Choice("chaincast.v1")),
        ({"dialect": "chaincast.v1"}, "chaincast.v1", Choice("chaincast.v1", "chaincast.v1")),
    ],
)
def test_the_handshake_names_the_dialect(query: dict[str, str], subprotocols: str, choice: Choice) -> None:
    assert choose(query, subprotocols) == choice


@pytest.mark.parametrize(
    ("query", "subprotocols"), [({"dialect": "v9"}, ""), ({"dialect": ""}, ""), ({}, "chaincast.v9")]
)
def test_a_dialect_that_there_is_not_is_refused(query: dict[str, str], subprotocols: str) -> None:
    with pytest.raises(ClientError, match=r"known: chaincast\.v1") as caught:
        choose(query, subprotocols)
    assert caught.value.code == Code.UNKNOWN_DIALECT
