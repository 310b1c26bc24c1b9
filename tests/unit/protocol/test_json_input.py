from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincast.errors import Code, RequestError
from chaincast.protocol.dialects.json_input import MAX_DEPTH, depth_exceeds, parse_object

LIMIT = 1000


def depth(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max((depth(v) for v in value.values()), default=0)
    if isinstance(value, list):
        return 1 + max((depth(v) for v in value), default=0)
    return 0


@given(
    st.recursive(
        st.text() | st.integers() | st.booleans(), lambda i: st.lists(i, max_size=3) | st.dictionaries(st.text(), i)
    ),
    st.integers(0, 6),
)
def test_depth_counts_brackets_outside_strings(value: object, limit: int) -> None:
    body = json.dumps(value).encode()
    assert depth_exceeds(body, limit) == (depth(value) > limit)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"x" * (LIMIT + 1), Code.TOO_LARGE),
        (b"\xff\xfe", Code.BAD_UTF8),
        (b'{"a":"\xed\xa0\x80"}', Code.BAD_UTF8),
        (b"[" * 100 + b"]" * 100, Code.TOO_DEEP),
        (b'{"a":' * 100, Code.TOO_DEEP),
        (b"", Code.BAD_JSON),
        (b"hello", Code.BAD_JSON),
        (b'{"a":1', Code.BAD_JSON),
        (b'{"a":"\\ud800"}', Code.BAD_JSON),
        (b'{"a":NaN}', Code.BAD_JSON),
        (b"[]", Code.BAD_MESSAGE),
        (b"null", Code.BAD_MESSAGE),
        (b'"text"', Code.BAD_MESSAGE),
        (b"3", Code.BAD_MESSAGE),
    ],
)
def test_each_fault_has_its_code(body: bytes, code: Code) -> None:
    with pytest.raises(RequestError) as caught:
        parse_object(body, LIMIT)
    assert caught.value.code == code


def test_brackets_in_strings_do_not_count() -> None:
    text = "[" * 500 + '\\"' + "{" * 200
    assert parse_object(json.dumps({"a": text}).encode(), LIMIT * 2) == {"a": text}


def test_the_deepest_allowed_message_is_read() -> None:
    body = b'{"a":' + b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1) + b"}"
    assert "a" in parse_object(body, LIMIT)
    with pytest.raises(RequestError):
        parse_object(b'{"a":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}", LIMIT)


@given(st.binary(max_size=200))
def test_nothing_but_a_client_error_is_raised(body: bytes) -> None:
    with contextlib.suppress(RequestError):
        assert isinstance(parse_object(body, LIMIT), dict)
