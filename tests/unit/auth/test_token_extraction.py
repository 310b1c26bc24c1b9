from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincast.auth.token_extraction import extract_token

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2ln-_A"


@pytest.mark.parametrize(
    ("headers", "query", "found"),
    [
        ({}, {}, ""),
        ({"authorization": f"Bearer {TOKEN}"}, {}, TOKEN),
        ({"authorization": f"bearer  {TOKEN} "}, {}, TOKEN),
        ({"authorization": f"Basic {TOKEN}"}, {}, ""),
        ({"sec-websocket-protocol": f"chaincast.v1, chaincast.token.{TOKEN}"}, {}, TOKEN),
        ({"sec-websocket-protocol": "chaincast.v1"}, {}, ""),
        ({"cookie": f"theme=dark; session={TOKEN}"}, {}, TOKEN),
        ({"cookie": "theme=dark"}, {}, ""),
        ({"cookie": f'session="{TOKEN}"'}, {}, TOKEN),
        ({}, {"token": TOKEN}, TOKEN),
        ({"authorization": "Bearer a", "cookie": "session=b"}, {"token": "c"}, "a"),
        ({"cookie": "session=b"}, {"token": "c"}, "b"),
    ],
)
def test_a_token_is_found_in_every_place(headers: dict[str, str], query: dict[str, str], found: str) -> None:
    assert extract_token(headers, query, cookie="session", in_query=True) == found


def test_places_that_are_not_enabled_are_not_read() -> None:
    headers, query = {"cookie": f"session={TOKEN}"}, {"token": TOKEN}
    assert extract_token(headers, query, cookie="", in_query=False) == ""
    assert extract_token(headers, query, cookie="other", in_query=False) == ""


@given(st.text(), st.text(), st.text())
def test_no_header_raises(authorization: str, protocols: str, cookies: str) -> None:
    headers = {"authorization": authorization, "sec-websocket-protocol": protocols, "cookie": cookies}
    assert isinstance(extract_token(headers, {}, cookie="session", in_query=False), str)
