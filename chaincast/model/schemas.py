"""The kinds of event that backends publish, and what each must say: Chaincast's own, and a team's by JSON Schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, TypeAlias, Union

import fastjsonschema
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from chaincast.errors import ClientError, Code
from chaincast.model.events import Kind
from chaincast.model.validation_errors import describe_errors

Number: TypeAlias = Annotated[Union[int, float], Field(allow_inf_nan=False)]
Amount: TypeAlias = Union[Number, Annotated[str, Field(pattern=r"^-?\d{1,78}(\.\d{1,78})?$")]]
"""A number, or a decimal string where a JSON number would not be exact."""

Level: TypeAlias = tuple[Amount, Amount]


class _Data(BaseModel):
    """Members that are not listed go through as they are."""

    model_config = ConfigDict(extra="allow")


class PriceData(_Data):
    price: Amount
    change: Amount | None = None
    volume: Amount | None = None


class OrderBookData(_Data):
    """Levels are [price, amount], the best first."""

    bids: Annotated[list[Level], Field(max_length=1000)]
    asks: Annotated[list[Level], Field(max_length=1000)]


class TradeData(_Data):
    """At a price, or of one token for another."""

    price: Amount | None = None
    amount: Amount | None = None
    side: Literal["buy", "sell"] | None = None
    tokenIn: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    tokenOut: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    amountIn: Amount | None = None
    amountOut: Amount | None = None

    @model_validator(mode="after")
    def _whole(self) -> TradeData:
        swapped = (self.tokenIn, self.tokenOut, self.amountIn, self.amountOut)
        if None in (self.price, self.amount, self.side) and None in swapped:
            raise ValueError("a trade has price, amount and side, or tokenIn, tokenOut, amountIn and amountOut")
        return self


class OrderData(_Data):
    status: Annotated[str, Field(min_length=1, max_length=64)]


class PortfolioData(_Data):
    totalValue: Amount
    positions: list[dict[str, Any]] = Field(default_factory=list)


class SystemAlertData(_Data):
    level: Annotated[str, Field(min_length=1, max_length=32)]
    message: Annotated[str, Field(min_length=1, max_length=4096)]


class Shape(BaseModel):
    """What an event of a kind needs beside its data, and where it goes."""

    model_config = ConfigDict(frozen=True)
    needs: Literal["symbol", "userId", ""]
    topics: tuple[str, ...]
    """Of whom hears of it, with {symbol}, {userId} and {kind} to be filled in."""
    latest_only: bool = False
    """Whether only the last of a batch matters."""


BUILT_IN: Mapping[str, tuple[Shape, type[BaseModel]]] = {
    Kind.PRICE: (Shape(needs="symbol", topics=("price:{symbol}",), latest_only=True), PriceData),
    Kind.ORDER_BOOK: (Shape(needs="symbol", topics=("orderbook:{symbol}",), latest_only=True), OrderBookData),
    "trade": (Shape(needs="symbol", topics=("trade:{symbol}",)), TradeData),
    Kind.ORDER: (Shape(needs="userId", topics=("orders:{userId}", "user:{userId}")), OrderData),
    Kind.PORTFOLIO: (Shape(needs="userId", topics=("portfolio:{userId}", "user:{userId}")), PortfolioData),
    Kind.SYSTEM_ALERT: (Shape(needs="", topics=("system",)), SystemAlertData),
}

_OWN = Shape(needs="", topics=("events:{kind}:{symbol}",))
_PRIVATE_TRADE = Shape(needs="userId", topics=("user:{userId}",))
_OWN_PRIVATE = Shape(needs="userId", topics=("user:{userId}",))


class Kinds:
    """All kinds that may be published. `schemas`: a team's own, kind → JSON Schema (draft 4, 6 or 7) of its data."""

    def __init__(self, schemas: Mapping[str, object]) -> None:
        """Raises `BadSchema`."""
        self._models = {kind: TypeAdapter(model) for kind, (_, model) in BUILT_IN.items()}
        self._own: dict[str, Callable[[object], object]] = {kind: compiled(kind, s) for kind, s in schemas.items()}

    def shape(self, kind: str, *, private: bool, named: bool) -> Shape:
        """Of a kind. `private`: whether the event names a user; `named`: whether it names a symbol. Raises
        `ClientError` (UNKNOWN_TYPE)."""
        if kind == Kind.TRADE and private and not named:
            return _PRIVATE_TRADE
        if kind in BUILT_IN:
            return BUILT_IN[kind][0]
        if kind in self._own:
            return _OWN_PRIVATE if private else _OWN
        known = ", ".join([*BUILT_IN, *self._own])
        raise ClientError(Code.UNKNOWN_TYPE, f"unknown kind {kind[:64]!r}; known: {known}")

    def check(self, kind: str, data: dict[str, Any]) -> None:
        """Whether the data is what the kind wants. Raises `ClientError` (BAD_MESSAGE)."""
        try:
            if kind in self._models:
                self._models[kind].validate_python(data)
            else:
                self._own[kind](data)
        except ValidationError as error:
            description = describe_errors(error.errors(include_url=False), data, parent="data")
            raise ClientError(Code.BAD_MESSAGE, f"{kind}: {description}") from None
        except fastjsonschema.JsonSchemaValueException as error:
            raise ClientError(Code.BAD_MESSAGE, f"{kind}: {error.message} (it is {error.value!r:.60})") from None


class BadSchema(ValueError):
    """A kind's JSON Schema cannot be used."""


def compiled(kind: str, schema: object) -> Callable[[object], object]:
    """A validator. Raises `BadSchema`. References to other documents are not followed."""
    if not isinstance(schema, (dict, bool)):
        raise BadSchema(f"kind {kind!r}: its JSON Schema is {schema!r:.60}, not an object")
    try:
        check: Callable[[object], object] = fastjsonschema.compile(schema, handlers=_NO_HANDLERS, use_default=False)
    except (fastjsonschema.JsonSchemaDefinitionException, ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadSchema(f"kind {kind!r}: its JSON Schema cannot be used: {error}") from None
    return check


def _refused(uri: str) -> object:
    raise ValueError(f"$ref to {uri}: a schema may only refer to itself")


_NO_HANDLERS = dict.fromkeys(("http", "https", "ftp", "file", ""), _refused)
