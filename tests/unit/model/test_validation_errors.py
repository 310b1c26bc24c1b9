"""Errors of a validator, in words for the person who wrote the message."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, ValidationError

from chaincast.model.validation_errors import describe_errors, quote_value


class _Color(StrEnum):
    RED = "red"


class _Circle(BaseModel):
    radius: StrictInt


class _Square(BaseModel):
    side: StrictInt


class _Drawing(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: Annotated[StrictStr, Field(min_length=1, max_length=8)]
    style: Literal["thin", "bold"] = "thin"
    color: _Color = _Color.RED
    code: Annotated[StrictStr, Field(pattern=r"^[a-z]+$")] = "a"
    pin: Annotated[StrictStr, Field(min_length=4)] = "0000"
    zoom: Annotated[StrictInt, Field(ge=1, le=9)] = 1
    shown: StrictBool = True
    points: Annotated[list[_Circle], Field(min_length=1, max_length=2)] = Field(default_factory=list)
    shape: _Circle | _Square | None = None
    since: StrictStr | dict[StrictStr, StrictStr] | None = None
    id: Annotated[StrictStr, Field(max_length=3)] | StrictInt | None = None
    nothing: None = None
    amount: int | float | Annotated[str, Field(pattern=r"^[0-9.]+$")] = 0


def described(document: object, **names: str) -> str:
    with pytest.raises(ValidationError) as caught:
        _Drawing.model_validate(document)
    return describe_errors(caught.value.errors(include_url=False), document, **names)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"name": 7}, "name is 7: it must be a string"),
        ({"name": None}, "name is None: it must be a string"),
        ({"name": ""}, "name is '': it must not be empty"),
        ({"name": "x" * 9}, "name is 'xxxxxxxxx': it must have at most 8 characters"),
        ({"pin": "12"}, "pin is '12': it must have at least 4 characters"),
        ({"code": "A!"}, "code is 'A!': it must match ^[a-z]+$"),
        ({"style": "wavy"}, "style is 'wavy': it must be one of 'thin' or 'bold'"),
        ({"style": {}}, "style is {}: it must be one of 'thin' or 'bold'"),
        ({"color": "blue"}, "color is 'blue': it must be one of 'red'"),
        ({"zoom": 0}, "zoom is 0: it must be at least 1"),
        ({"zoom": 10}, "zoom is 10: it must be at most 9"),
        ({"zoom": "1"}, "zoom is '1': it must be an integer"),
        ({"zoom": True}, "zoom is True: it must be an integer"),
        ({"shown": 1}, "shown is 1: it must be true or false"),
        ({"points": {}}, "points is {}: it must be an array"),
        ({"points": []}, "points is []: it must not be empty"),
        ({"points": [{"radius": 1}] * 3}, "it must have at most 2 items"),
        ({"points": [{"radius": 1}, 5]}, "points.1 is 5: it must be an object"),
        ({"points": [{"radius": 1}, {"radius": "2"}]}, "points.1.radius is '2': it must be an integer"),
        ({"points": [{}]}, "points.0.radius is missing: it is required"),
        ({"shape": 5}, "shape is 5: it must be an object"),
        ({"shape": {"side": "1"}}, "shape.side is '1': it must be an integer"),
        ({"since": 5}, "since is 5: it must be a string or an object"),
        ({"since": {"bsc": 5}}, "since.bsc is 5: it must be a string"),
        ({"id": "long"}, "id is 'long': it must have at most 3 characters"),
        ({"id": []}, "id is []: it must be a string or an integer"),
        ({"amount": []}, "amount is []: it must be a number or a string"),
        ({"amount": "much"}, "amount is 'much': it must match ^[0-9.]+$"),
        ({"nothing": 1}, "nothing is 1: it must be null"),
        ({"colour": "red"}, "colour is not a known field: remove it"),
    ],
)
def test_a_wrong_field_is_named_with_its_value_and_its_rule(fields: dict[str, Any], text: str) -> None:
    assert text in described({"name": "n", **fields})


def test_a_missing_field_is_named() -> None:
    assert described({"zoom": 1}) == "name is missing: it is required"


@pytest.mark.parametrize("document", [7, None, "text", [], ["name"]])
def test_a_document_that_is_no_object_is_named_as_the_caller_says(document: object) -> None:
    assert described(document) == f"message is {document!r}: it must be an object"
    assert described(document, document_name="argument") == f"argument is {document!r}: it must be an object"


def test_names_that_a_client_chose_are_quoted_and_short() -> None:
    text = described({"name": "n", "since": {"x\n" * 5_000: 1}})
    assert text.startswith("since.'x\\nx\\n")
    assert len(text) < 200
    assert "\n" not in text


def test_the_field_that_holds_the_document_may_be_named() -> None:
    error: Any = {"type": "missing", "loc": ("name",), "input": {}, "msg": "Field required"}
    assert describe_errors([error], {}, parent="data") == "data.name is missing: it is required"


def test_a_validator_of_ours_has_its_own_words() -> None:
    error: Any = {"type": "value_error", "loc": (), "input": 1, "ctx": {"error": ValueError("it must be round")}}
    assert describe_errors([error], 1) == "message is 1: it must be round"


def test_a_rule_without_words_of_its_own_is_still_a_sentence() -> None:
    error: Any = {"type": "decimal_whole_digits", "loc": ("name",), "input": 1, "msg": "_Drawing said no"}
    assert describe_errors([error], {"name": 1}) == "name is 1: it is not a valid value"


def test_a_quoted_value_is_short() -> None:
    assert quote_value("a") == "'a'"
    assert len(quote_value("a" * 1000)) == 58
    assert quote_value(["a" * 1000]).startswith("['aaa")


_plain = st.text("abc \n'\"{}", max_size=2_000)
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 20) | st.floats(allow_nan=False) | _plain,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_plain, inner, max_size=3),
    max_leaves=8,
)
_documents = st.fixed_dictionaries({}, optional=dict.fromkeys([*_Drawing.model_fields, "colour"], _json)) | _json


@given(_documents)
def test_no_error_quotes_the_validator_or_the_code(document: object) -> None:
    try:
        _Drawing.model_validate(document)
    except ValidationError as error:
        text = describe_errors(error.errors(include_url=False), document)
        assert len(text) <= 500
        assert text.isprintable()
        for word in ("instance", "_", "pydantic", "Input", "valid dictionary", "Circle", "Square", "Drawing", "str]"):
            assert word not in text
