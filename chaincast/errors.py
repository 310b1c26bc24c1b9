"""The one exception tree. Each class says how it arises; each has a code that never changes.

Codes go over the wire, into logs and into metrics. A dialect maps them to its own words in one place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias, Union


class Code(StrEnum):
    """Stable error codes of everything a client can be told."""

    BAD_UTF8 = "BAD_UTF8"
    BAD_JSON = "BAD_JSON"
    BAD_MESSAGE = "BAD_MESSAGE"
    UNKNOWN_TYPE = "UNKNOWN_TYPE"
    BAD_TOPIC = "BAD_TOPIC"
    UNKNOWN_TOPIC = "UNKNOWN_TOPIC"
    UNKNOWN_NETWORK = "UNKNOWN_NETWORK"
    UNKNOWN_DIALECT = "UNKNOWN_DIALECT"
    BAD_CURSOR = "BAD_CURSOR"
    TOO_MANY_TOPICS = "TOO_MANY_TOPICS"
    TOO_LARGE = "TOO_LARGE"
    TOO_DEEP = "TOO_DEEP"
    MAX_SUBSCRIPTIONS = "MAX_SUBSCRIPTIONS"
    MAX_CONNECTIONS = "MAX_CONNECTIONS"
    RATE_LIMITED = "RATE_LIMITED"
    CURSOR_EXPIRED = "CURSOR_EXPIRED"
    PRIVATE_TOPIC = "PRIVATE_TOPIC"
    PREMIUM_TOPIC = "PREMIUM_TOPIC"
    AUTH_REQUIRED = "AUTH_REQUIRED"
    AUTH_FAILED = "AUTH_FAILED"
    AUTH_UNAVAILABLE = "AUTH_UNAVAILABLE"
    UNSUPPORTED = "UNSUPPORTED"
    FORBIDDEN_ORIGIN = "FORBIDDEN_ORIGIN"
    FORBIDDEN_ADDRESS = "FORBIDDEN_ADDRESS"
    TOO_MANY_EVENTS = "TOO_MANY_EVENTS"
    KEY_REUSED = "KEY_REUSED"
    UNKNOWN_ROUTE = "UNKNOWN_ROUTE"
    NOT_CONNECTED = "NOT_CONNECTED"
    INTERNAL = "INTERNAL"


@dataclass(frozen=True, slots=True)
class Request:
    """What a dialect must know of a message again to answer it: the `verb` used, what it was `about` in the client's
    own words, and the number of the acknowledgement that the client waits for, if it does."""

    verb: str
    about: tuple[str, ...] = ()
    ack: int | None = None


RequestId: TypeAlias = Union[str, int, Request, None]
"""What the answer to a message carries: the `id` that the client gave it, or what its dialect makes of it."""


class ChaincastError(Exception):
    """Base of all errors that Chaincast raises on purpose."""


class ClientError(ChaincastError):
    """A client's message cannot be served; the dialect answers it, nothing is logged as a fault.

    `code` is stable, `message` says what was wrong, with which value, and what would be right; `request_id` is that of
    the message, if one could be read; `details` is what a program needs to act on it.
    """

    def __init__(
        self,
        code: Code,
        message: str,
        request_id: RequestId = None,
        details: Mapping[str, str | int] | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.request_id = request_id
        self.details = details or {}

    def with_request_id(self, request_id: RequestId) -> ClientError:
        """The same error, answered to the message that carried `request_id`."""
        return type(self)(self.code, self.message, request_id, self.details)


class ProtocolViolation(ClientError):
    """What the client sent breaks its protocol in a way after which the protocol wants the connection closed."""


class ConfigError(ChaincastError):
    """`chaincast.toml` cannot be used: the message names file, line, what is there and what is allowed."""


class CodecError(ChaincastError):
    """Stored or queued bytes are not what this version writes (damage, or a newer version's format)."""


class LeaseLost(ChaincastError):
    """Another listener holds the network's lease: this one must stop writing at once."""


class CursorTaken(ChaincastError):
    """The Log already has an item of that number: somebody else appended first."""


class SourceError(ChaincastError):
    """A node answered with an error or with something inconsistent; trying again may help."""


class WrongChain(ChaincastError):
    """A node serves another chain than the configuration says; trying again will not help."""


class ForkDetected(ChaincastError):
    """The chain under the checkpoint was replaced by another branch."""
