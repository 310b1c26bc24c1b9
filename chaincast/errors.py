"""The exceptions of Chaincast, and the error codes that clients receive.

Codes never change. They appear in messages, logs and metrics. A dialect maps them to its protocol's own codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias, Union


class Code(StrEnum):
    """Error codes that clients receive (docs/protocol.md explains each)."""

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
class ReplyContext:
    """The parts of a client's message that its dialect needs in order to answer it.

    `verb`: name of the command. `about`: its arguments, as the client wrote them. `ack`: number of the acknowledgement
    that the client waits for, if any.
    """

    verb: str
    about: tuple[str, ...] = ()
    ack: int | None = None


RequestId: TypeAlias = Union[str, int, ReplyContext, None]
"""The identification that an answer repeats from the message: the client's `id`, or the dialect's own context."""


class ChaincastError(Exception):
    """Base of all errors that Chaincast raises on purpose."""


class RequestError(ChaincastError):
    """A request of a client is refused. The dialect answers with an error; the log records no fault.

    `message` names the value, the rule that it breaks, and the fix. `request_id` identifies the message, if it could be
    read. `details`: values for programs, such as `retry_after`.
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

    def with_request_id(self, request_id: RequestId) -> RequestError:
        """Return the same error as an answer to the message with `request_id`."""
        return type(self)(self.code, self.message, request_id, self.details)


class ProtocolViolation(RequestError):
    """A message that breaks its protocol in such a way that the connection must be closed."""


class ConfigError(ChaincastError):
    """`chaincast.toml` is not valid. The message names file, line, value and rule."""


class CodecError(ChaincastError):
    """Stored or queued data cannot be decoded: it is damaged, or a newer version wrote it."""


class LeaseLost(ChaincastError):
    """Another listener holds the network's lease. This one must stop writing at once."""


class CursorTaken(ChaincastError):
    """The event log already has a batch with this cursor, because another writer appended first."""


class SourceError(ChaincastError):
    """A node answered with an error or with inconsistent data. Trying again may help."""


class WrongChain(ChaincastError):
    """A node serves another chain than the configured one. Trying again does not help."""


class ForkDetected(ChaincastError):
    """Another branch replaced blocks of the chain that were already processed."""
