from __future__ import annotations

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincast.metrics.redaction import SCRUBBED, scrubbed

TOKEN = jwt.encode({"sub": "ann", "exp": 4_000_000_000}, "s" * 64)
TICKET = "cct_" + "Ab3-_" * 8


@pytest.mark.parametrize("secret", [TOKEN, TICKET])
@pytest.mark.parametrize(
    "around", ["{}", "Bearer {}", "wss://host/prod?ticket={}&x=1", "a subprotocol chaincast.token.{}, and more", '"{}"']
)
def test_no_secret_stays_wherever_it_stands(secret: str, around: str) -> None:
    text = around.format(secret)
    for value in (text, {"message": text}, {text: 1}, [[text]], {"a": {"b": [{"c": (text,)}]}}):
        assert secret[8:-8] not in repr(scrubbed(value))


@pytest.mark.parametrize(
    "name", ["token", "Authorization", "cookie", "set-cookie", "jwt_secret", "password", "ticket", "access_token"]
)
def test_what_a_field_of_such_a_name_holds_is_nobodys_business(name: str) -> None:
    assert scrubbed({name: "plain words", "n": 1}) == {name: SCRUBBED, "n": 1}


def test_opaque_tokens_are_known_by_what_stands_before_them() -> None:
    text = "GET /prod?dialect=moonx&token=abc123&x=1 authorization: bearer xyz987, done"
    assert scrubbed(text) == f"GET /prod?dialect=moonx&token={SCRUBBED}&x=1 authorization: bearer {SCRUBBED}, done"


def test_what_is_no_secret_stays() -> None:
    line = {
        "message": "batch delivered",
        "ms": {"post": 1.5},
        "group": "bsc#0",
        "topics": ["token:bsc:0xab"],
        "n": None,
    }
    assert scrubbed(line) == line


@given(
    st.recursive(
        st.none() | st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_scrubbing_never_fails_and_twice_is_as_good_as_once(value: object) -> None:
    once = scrubbed(value)
    assert scrubbed(once) == once
