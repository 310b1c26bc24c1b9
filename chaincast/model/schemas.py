"""The kinds of event that backends publish, with the schemas of their data: built-in ones and a team's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, TypeAlias, Union

import fastjsonschema
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from chaincast.errors import Code, RequestError
from chaincast.model.events import Kind
from chaincast.model.validation_errors import describe_errors

Number: TypeAlias = Annotated[Union[int, float], Field(allow_inf_nan=False)]
Amount: TypeAlias = Union[Number, Annotated[str, Field(pattern=r"^-?\d{1,78}(\.\d{1,78})?$")]]
"""A number, or a decimal string where a JSON number would not be exact."""

Level: TypeAlias = tuple[Amount, Amount]


class _Data(BaseModel):
    """Data of a built-in kind. Other members are allowed and delivered unchanged."""

    model_config = ConfigDict(extra="allow")


class PriceData(_Data):
    """Data of `price`."""

    price: Amount
    change: Amount | None = None
    volume: Amount | None = None


class OrderBookData(_Data):
    """Data of `order_book`. Levels are [price, amount], the best first."""

    bids: Annotated[list[Level], Field(max_length=1000)]
    asks: Annotated[list[Level], Field(max_length=1000)]


class TradeData(_Data):
    """Data of `trade`: a trade at a price, or an exchange of one token for another."""

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
            raise ValueError("a trade needs price, amount and side, or tokenIn, tokenOut, amountIn and amountOut")
        return self


class OrderData(_Data):
    """Data of `order`."""

    status: Annotated[str, Field(min_length=1, max_length=64)]


class PortfolioData(_Data):
    """Data of `portfolio`."""

    totalValue: Amount
    positions: list[dict[str, Any]] = Field(default_factory=list)


class SystemAlertData(_Data):
    """Data of `system.alert`."""

    level: Annotated[str, Field(min_length=1, max_length=32)]
    message: Annotated[str, Field(min_length=1, max_length=4096)]


class Shape(BaseModel):
    """The member that an event of a kind needs in addition to its data, and the topics under which it is published."""

    model_config = ConfigDict(frozen=True)
    needs: Literal["symbol", "userId", ""]
    topics: tuple[str, ...]
    """Templates of topics with {symbol}, {userId} and {kind}."""
    latest_only: bool = False
    """True if only the latest event of a topic matters, so that older ones in a message are left out."""


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
    """The kinds that may be published.

    `schemas`: the team's own kinds, as kind → JSON Schema (draft 4, 6 or 7) of the data. Raise `BadSchema` if one
    cannot be used.
    """

    def __init__(self, schemas: Mapping[str, object]) -> None:
        self._models = {kind: TypeAdapter(model) for kind, (_, model) in BUILT_IN.items()}
        self._own: dict[str, Callable[[object], object]] = {kind: compiled(kind, s) for kind, s in schemas.items()}

    def shape(self, kind: str, *, private: bool, named: bool) -> Shape:
        """Return the shape of a kind. Raise `RequestError` (UNKNOWN_TYPE) if there is no such kind.

        `private`: True if the event has a `userId`. `named`: True if it has a `symbol`.
        """
        if kind == Kind.TRADE and private and not named:
            return _PRIVATE_TRADE
        if kind in BUILT_IN:
            return BUILT_IN[kind][0]
        if kind in self._own:
            return _OWN_PRIVATE if private else _OWN
        known = ", ".join([*BUILT_IN, *self._own])
        raise RequestError(Code.UNKNOWN_TYPE, f"unknown kind {kind[:64]!r}; known: {known}")

    def check(self, kind: str, data: dict[str, Any]) -> None:
        """Validate the data of an event. Raise `RequestError` (BAD_MESSAGE) if it breaks the kind's schema."""
        try:
            if kind in self._models:
                self._models[kind].validate_python(data)
            else:
                self._own[kind](data)
        except ValidationError as error:
            description = describe_errors(error.errors(include_url=False), data, parent="data")
            raise RequestError(Code.BAD_MESSAGE, f"{kind}: {description}") from None
        except fastjsonschema.JsonSchemaValueException as error:
            raise RequestError(Code.BAD_MESSAGE, f"{kind}: {error.message}, not {error.value!r:.60}") from None


class BadSchema(ValueError):
    """A kind's JSON Schema cannot be used."""


def compiled(kind: str, schema: object) -> Callable[[object], object]:
    """Compile a JSON Schema into a validator. Raise `BadSchema`. References to other documents are refused."""
    if not isinstance(schema, (dict, bool)):
        raise BadSchema(f"kind {kind!r}: a JSON Schema is an object, not {schema!r:.60}")
    try:
        check: Callable[[object], object] = fastjsonschema.compile(schema, handlers=_NO_HANDLERS, use_default=False)
    except (fastjsonschema.JsonSchemaDefinitionException, ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadSchema(f"kind {kind!r}: the JSON Schema cannot be used: {error}") from None
    return check


def _refused(uri: str) -> object:
    raise ValueError(f"$ref to {uri}: a schema may only refer to itself")


_NO_HANDLERS = dict.fromkeys(("http", "https", "ftp", "file", ""), _refused)
