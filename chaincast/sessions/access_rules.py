"""Rules of what a caller may do: joining, authentication, and the topics that they may subscribe to or read."""

from __future__ import annotations

from chaincast.config.function_settings import Settings
from chaincast.errors import Code, ProtocolViolation, RequestError
from chaincast.model.topics import OWN, Topic
from chaincast.protocol.commands import Authenticate, Caller, CloseConnection, Command, Join, KeepAlive, Ping

_ALWAYS_ALLOWED = (KeepAlive, CloseConnection, Ping)
"""Commands that a caller may send before they have joined or authenticated."""


class AccessRules:
    """Raises `RequestError` for what a caller may not do."""

    def __init__(self, settings: Settings) -> None:
        self._networks = settings.networks
        self._sources = settings.sources
        self._requires_user = settings.auth == "required"
        self._premium = settings.premium

    def check_command(self, command: Command, caller: Caller) -> None:
        """Check that the caller has joined and authenticated as far as the command requires it.

        Raises `ProtocolViolation` for a command before the join or a second join, `RequestError` with AUTH_REQUIRED.
        """
        if isinstance(command, _ALWAYS_ALLOWED):
            return
        if caller.joined is not None:
            self._check_joined(command, has_joined=caller.joined)
        if self._requires_user and not caller.user:
            self._check_authenticates(command)

    def check_topic(self, topic: Topic, caller: Caller) -> None:
        """Check that the caller may receive a topic's events.

        Raises `RequestError`: PRIVATE_TOPIC, UNKNOWN_NETWORK or PREMIUM_TOPIC.
        """
        if topic.is_private and topic.scope != caller.user:
            user = f"user {caller.user!r}" if caller.user else "no user"
            raise RequestError(
                Code.PRIVATE_TOPIC,
                f"topic {str(topic)!r} is private: only its own user may receive it; this connection has {user}",
            )
        if topic.network is not None:
            self.check_network(topic.network, repr(str(topic)))
        self.check_premium(topic, caller)

    def check_premium(self, topic: Topic, caller: Caller) -> None:
        """Check that the caller may receive a topic if it is premium. Raises `RequestError` with PREMIUM_TOPIC."""
        if not caller.premium and self._premium.covers(topic):
            raise RequestError(
                Code.PREMIUM_TOPIC,
                f"topic {str(topic)!r} is premium: it needs a token with the claim {self._premium.needed}",
            )

    def check_network(self, network: str, context: str) -> None:
        """Check that the deployment has a network, which `context` names. Raises `RequestError` (UNKNOWN_NETWORK)."""
        if network not in self._networks:
            raise RequestError(
                Code.UNKNOWN_NETWORK,
                f"unknown network {network[:40]!r} in {context}; known: {', '.join(self._networks)}",
            )

    def check_source(self, source: str, context: str) -> None:
        """Check that the deployment has a source, which `context` names. Raises `RequestError` (UNKNOWN_NETWORK)."""
        if source not in self._sources:
            self.check_network(source, context)

    def _check_joined(self, command: Command, *, has_joined: bool) -> None:
        if isinstance(command, Join) and has_joined:
            raise ProtocolViolation(Code.BAD_MESSAGE, "connect: the namespace is joined already; send it once")
        if not isinstance(command, Join) and not has_joined:
            raise ProtocolViolation(Code.BAD_MESSAGE, "the namespace is not joined: connect to it first")

    def _check_authenticates(self, command: Command) -> None:
        if isinstance(command, Join) and not command.token:
            raise RequestError(Code.AUTH_REQUIRED, "a token is required: connect with one")
        if not isinstance(command, (Join, Authenticate)):
            raise RequestError(Code.AUTH_REQUIRED, "authentication is required: authenticate this connection first")


def resolve_own_topic(topic: Topic, user: str) -> Topic:
    """Return the topic with the caller's user id in the place of `#me`; any other topic unchanged.

    Raises `RequestError` with AUTH_REQUIRED if the topic needs a user and the caller is anonymous.
    """
    if topic.scope != OWN:
        return topic
    if not user:
        raise RequestError(
            Code.AUTH_REQUIRED,
            f"topic {topic.family!r} needs an authenticated user: authenticate this connection first",
        )
    return Topic(topic.family, user)
