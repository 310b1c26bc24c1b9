"""Messages of Kafka topics as items: `{type, symbol, userId, data, timestamp, metadata}`, as producers write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import orjson

from chaincast.errors import Code, RequestError

TYPES: Final[Mapping[str, str]] = {
    "price_update": "price",
    "order_book_update": "order_book",
    "trade_notification": "trade",
    "portfolio_update": "portfolio",
    "system_alert": "system.alert",
}
"""Kind of event for each `type` of a message. Any other type is the kind itself."""

TOPICS: Final[Mapping[str, str]] = {
    "price.updates": "price",
    "order.book.updates": "order_book",
    "trade.notifications": "trade",
    "portfolio.updates": "portfolio",
    "system.alerts": "system.alert",
}
"""Kind of event for topics whose messages have no type."""

_MEMBERS = ("symbol", "userId", "data", "timestamp", "metadata")


def item_of(topic: str, value: bytes) -> object:
    """Return the item of a message, without validating it. Raise `RequestError`."""
    try:
        message = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise RequestError(Code.BAD_JSON, f"the message is not JSON: {error}; it begins {value[:40]!r}") from None
    if not isinstance(message, dict):
        raise RequestError(Code.BAD_MESSAGE, f"the message is not a JSON object: it begins {value[:40]!r}")
    type_ = message.get("type", message.get("kind"))
    kind = TOPICS.get(topic) if type_ is None else TYPES.get(str(type_), str(type_))
    if kind is None:
        raise RequestError(Code.BAD_MESSAGE, f"type is missing, and topic {topic!r} does not say what its messages are")
    return {"kind": kind, **{name: message[name] for name in _MEMBERS if message.get(name) is not None}}
