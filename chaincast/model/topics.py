"""Topics: names that clients subscribe to and under which events are published."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from chaincast.errors import Code, RequestError
from chaincast.model.events import Kind

ANY = "*"
OWN = "#me"
"""Placeholder, in a command's private topics, for the connection's user. No topic of a client contains it."""

MAX_TOPIC_LENGTH = 256

_SEGMENT = re.compile(r"[^\s:#*\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,128}")


@dataclass(frozen=True, slots=True)
class Family:
    """The form of a family's topics: `family:scope` or `family:scope:key`."""

    name: str
    scope: str
    key: str | None = None
    folds_case: bool = True
    """True if case does not matter, as in addresses and networks; it does in symbols and users."""
    private: bool = False
    """True if only the user that the scope names may subscribe."""
    by_network: bool = False

    @property
    def shape(self) -> str:
        """Return the form of a topic, for errors: `trades:{network}:{token}`."""
        parts = [self.name, f"{{{self.scope}}}"] if self.scope else [self.name]
        return ":".join([*parts, f"{{{self.key}}}"] if self.key else parts)


FAMILIES: dict[str, Family] = {
    f.name: f
    for f in (
        Family("tokens", "network", by_network=True),
        Family("trades", "network", "token", by_network=True),
        Family("prices", "network", "token", by_network=True),
        Family("token", "network", "token", by_network=True),
        Family("network", "network", by_network=True),
        Family("contract", "network", "address", by_network=True),
        Family("alerts", "type"),
        Family("price", "symbol", folds_case=False),
        Family("orderbook", "symbol", folds_case=False),
        Family("trade", "symbol", folds_case=False),
        Family("events", "kind", "key", folds_case=False),
        Family("user", "id", folds_case=False, private=True),
        Family("orders", "id", folds_case=False, private=True),
        Family("portfolio", "id", folds_case=False, private=True),
        Family("system", ""),
    )
}


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic in canonical form: two topics are the same if and only if their strings are equal."""

    family: str
    scope: str = ""
    key: str = ""

    def __str__(self) -> str:
        return ":".join(p for p in (self.family, self.scope, self.key) if p)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the topic that a client wrote. Raise `RequestError` (BAD_TOPIC or UNKNOWN_TOPIC) if it is not one."""
        if len(text) > MAX_TOPIC_LENGTH:
            raise RequestError(
                Code.BAD_TOPIC, f"topic {text[:40]!r}… has {len(text)} characters; at most {MAX_TOPIC_LENGTH}"
            )
        name, *rest = text.split(":")
        family = FAMILIES.get(name)
        if family is None:
            raise RequestError(
                Code.UNKNOWN_TOPIC, f"unknown topic family {name[:40]!r} in {text!r}; known: {', '.join(FAMILIES)}"
            )
        expected = bool(family.scope) + bool(family.key)
        if len(rest) != expected or not all(p == ANY or _SEGMENT.fullmatch(p) for p in rest):
            raise RequestError(
                Code.BAD_TOPIC, f"topic {text!r} is malformed; write {family.shape}, where each part may be '*'"
            )
        if family.private and ANY in rest:
            raise RequestError(Code.BAD_TOPIC, f"topic {text!r} is private: '*' is not allowed in {family.shape}")
        if family.folds_case:
            rest = [p.lower() for p in rest]
        return cls(name, *rest)

    @property
    def is_private(self) -> bool:
        """Return True if only the user that the topic names may subscribe."""
        return FAMILIES[self.family].private

    @property
    def network(self) -> str | None:
        """Return the topic's network; None if the topic stands for all networks or has none."""
        return self.scope if FAMILIES[self.family].by_network and self.scope != ANY else None


def wildcard_forms(topic: str) -> tuple[str, ...]:
    """Return the topics whose subscribers receive an event under `topic`: the topic and its `*` forms.

    `trades:bsc:0xab` → itself, `trades:bsc:*`, `trades:*:0xab`, `trades:*:*`. Private topics have no `*` forms.
    """
    family, *rest = topic.split(":")
    if not rest or FAMILIES[family].private:
        return (topic,)
    if len(rest) == 1:
        return (topic, f"{family}:{ANY}")
    scope, key = rest
    return (topic, f"{family}:{scope}:{ANY}", f"{family}:{ANY}:{key}", f"{family}:{ANY}:{ANY}")


def chain_topics(kind: str, network: str, contract: str, token: str | None) -> tuple[str, ...]:
    """Return the exact topics of an on-chain event, the most specific first, with addresses in lower case."""
    topics = []
    if token is not None:
        token = token.lower()
        if kind == Kind.TOKEN_CREATED:
            topics.append(f"tokens:{network}")
        elif kind == Kind.TRADE:
            topics.append(f"trades:{network}:{token}")
        elif kind == Kind.PRICE:
            topics.append(f"prices:{network}:{token}")
        topics.append(f"token:{network}:{token}")
    topics.append(f"contract:{network}:{contract.lower()}")
    topics.append(f"network:{network}")
    return tuple(topics)


def alert_topics(type_: str, network: str, token: str) -> tuple[str, ...]:
    """Return the exact topics of an alert."""
    return (f"alerts:{type_}", f"token:{network}:{token.lower()}", f"network:{network}")


_HISTORY_FAMILY = {
    Kind.TRADE: "trades",
    Kind.PRICE: "prices",
    Kind.TOKEN_CREATED: "tokens",
    Kind.ALERT: "alerts",
    Kind.CONTRACT_EVENT: "contract",
}


def history_topic(kind: str, topics: tuple[str, ...]) -> str | None:
    """Return the topic under which History stores an event, or None if events of its kind are not stored.

    Alerts of all networks have the same topic, but positions only order the events of one network. History therefore
    stores the alerts of each network under a name of their own (`alerts_of`).
    """
    family = _HISTORY_FAMILY.get(kind)
    found = None if family is None else next((t for t in topics if t.partition(":")[0] == family), None)
    if found is not None and kind == Kind.ALERT:
        network = next(t for t in topics if t.startswith("network:"))
        return alerts_of(network.removeprefix("network:"), found.removeprefix("alerts:"))
    return found


def history_topics(topics: tuple[str, ...]) -> list[str]:
    """Return the topics under which History may store an event with these topics, whatever its kind."""
    found = {history_topic(kind, topics) for kind in _HISTORY_FAMILY}
    return sorted(topic for topic in found if topic is not None)


def alerts_of(network: str, type_: str) -> str:
    """Return the name under which History stores a network's alerts of a type."""
    return f"alerts:{network}:{type_}"
