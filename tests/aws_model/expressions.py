"""Condition and update expressions of DynamoDB (Developer Guide, "Using expressions in DynamoDB")."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, TypeAlias

Value: TypeAlias = dict[str, Any]  # such as {"S": "text"}
Item: TypeAlias = dict[str, Value]

_TOKEN = re.compile(r"\s*(<=|>=|<>|[=<>(),+-]|[#:]?\w+)")
_CLAUSES = ("SET", "ADD", "REMOVE", "DELETE")
_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: bool(a == b),
    "<>": lambda a, b: bool(a != b),
    "<": lambda a, b: bool(a < b),
    "<=": lambda a, b: bool(a <= b),
    ">": lambda a, b: bool(a > b),
    ">=": lambda a, b: bool(a >= b),
}


class ExpressionError(Exception):
    """The expression is not valid, as DynamoDB's ValidationException says."""


class Expression:
    """Reads an expression token by token. `names` and `values` replace its placeholders."""

    def __init__(self, text: str, names: Mapping[str, str] | None, values: Mapping[str, Value] | None) -> None:
        self._tokens = _TOKEN.findall(text)
        if "".join(self._tokens) != re.sub(r"\s", "", text):
            raise ExpressionError(f"not an expression: {text!r}")
        self._names = names or {}
        self._values = values or {}
        self._at = 0

    def condition(self, item: Item) -> bool:
        """Return True if an item meets the condition."""
        self._at = 0
        met = self._any(item)
        if self._at < len(self._tokens):
            raise ExpressionError(f"unexpected {self._tokens[self._at]!r}")
        return met

    def update(self, item: Item) -> Item:
        """Return the item after the update. All operands are values from before it."""
        self._at, updated = 0, dict(item)
        while self._at < len(self._tokens):
            clause = self._next().upper()
            if clause not in _CLAUSES:
                raise ExpressionError(f"unexpected {clause!r}")
            while True:
                self._action(clause, item, updated)
                if self._peek() != ",":
                    break
                self._next()
        return updated

    def _action(self, clause: str, item: Item, updated: Item) -> None:
        name = self._name()
        if clause == "SET":
            self._expect("=")
            value = self._operand(item)
            while self._peek() in ("+", "-"):
                sign, other = self._next(), self._operand(item)
                value = {"N": str(_number(value) + (_number(other) if sign == "+" else -_number(other)))}
            if value is None:
                raise ExpressionError(f"no value for {name}")
            updated[name] = value
        elif clause == "REMOVE":
            updated.pop(name, None)
        else:
            value = self._operand(item)
            assert value is not None
            ((kind, content),) = value.items()
            if kind == "N":
                updated[name] = {"N": str(_number(item.get(name, {"N": "0"})) + Decimal(content))}
                return
            had = set(item.get(name, {kind: []})[kind])
            left = had | set(content) if clause == "ADD" else had - set(content)
            updated[name] = {kind: sorted(left)}
            if not left:
                del updated[name]

    def _any(self, item: Item) -> bool:
        met = self._all(item)
        while self._peek().upper() == "OR":
            self._next()
            met = self._all(item) or met
        return met

    def _all(self, item: Item) -> bool:
        met = self._one(item)
        while self._peek().upper() == "AND":
            self._next()
            met = self._one(item) and met
        return met

    def _one(self, item: Item) -> bool:
        if self._peek().upper() == "NOT":
            self._next()
            return not self._one(item)
        if self._peek() == "(":
            self._next()
            met = self._any(item)
            self._expect(")")
            return met
        if self._peek() in ("attribute_exists", "attribute_not_exists"):
            wanted = self._next() == "attribute_exists"
            self._expect("(")
            exists = self._name() in item
            self._expect(")")
            return exists == wanted
        if self._peek() in ("begins_with", "contains"):
            return self._function(self._next(), item)
        return self._comparison(item)

    def _function(self, function: str, item: Item) -> bool:
        self._expect("(")
        value = self._operand(item)
        self._expect(",")
        other = self._operand(item)
        self._expect(")")
        if value is None or other is None:
            return False
        ((_, content),), ((_, part),) = value.items(), other.items()
        return bool(content.startswith(part)) if function == "begins_with" else part in content

    def _comparison(self, item: Item) -> bool:
        value = self._operand(item)
        operator = self._next()
        if operator.upper() == "BETWEEN":
            low = self._operand(item)
            self._expect("AND")
            high = self._operand(item)
            return _compare(">=", value, low) and _compare("<=", value, high)
        return _compare(operator, value, self._operand(item))

    def _operand(self, item: Item) -> Value | None:
        token = self._peek()
        if token == "if_not_exists":
            self._next()
            self._expect("(")
            name = self._name()
            self._expect(",")
            otherwise = self._operand(item)
            self._expect(")")
            return item.get(name, otherwise)
        if token.startswith(":"):
            return self._values[self._next()]
        return item.get(self._name())

    def _name(self) -> str:
        token = self._next()
        return self._names[token] if token.startswith("#") else token

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        self._at += 1
        return token

    def _expect(self, wanted: str) -> None:
        if (token := self._next()).upper() != wanted:
            raise ExpressionError(f"{token!r} instead of {wanted!r}")


def _compare(operator: str, value: Value | None, other: Value | None) -> bool:
    if value is None or other is None:
        return False
    ((kind, content),), ((other_kind, other_content),) = value.items(), other.items()
    if kind != other_kind:
        return operator == "<>"
    if kind == "N":
        content, other_content = Decimal(content), Decimal(other_content)
    return _COMPARISONS[operator](content, other_content)


def _number(value: Value | None) -> Decimal:
    if value is None or "N" not in value:
        raise ExpressionError(f"not a number: {value}")
    return Decimal(value["N"])
