"""Carrying out a client's command: what is allowed, what it does, what is answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from chaincast.commands import Command, Outcome, Ping, Pong, Subscribe, Subscribed, Unsubscribe, Unsubscribed
from chaincast.errors import ClientError, Code
from chaincast.settings import Settings
from chaincast.topics import Topic


class SubscriptionStore(Protocol):
    """What commands do to subscriptions; `chaincast.aws.subscriptions` does it to DynamoDB."""

    def add(self, connection_id: str, dialect: str, topics: Sequence[str], limit: int, now_ms: int) -> None: ...

    def remove(self, connection_id: str, topics: Sequence[str]) -> None: ...


class Actor:
    """Acts for connections, whatever dialect they speak."""

    def __init__(self, subscriptions: SubscriptionStore, settings: Settings) -> None:
        self._subscriptions = subscriptions
        self._settings = settings

    def act(self, command: Command, connection_id: str, dialect: str, now_ms: int) -> Outcome:
        """The outcome of a command; what is not allowed is an outcome too."""
        try:
            match command:
                case Ping(request_id):
                    return Pong(now_ms, request_id)
                case Unsubscribe(topics, request_id):
                    self._subscriptions.remove(connection_id, [str(t) for t in topics])
                    return Unsubscribed(topics, request_id)
                case Subscribe(topics, since, request_id):
                    if since is not None:
                        raise ClientError(
                            Code.RESUME_UNAVAILABLE, "this version cannot resume yet: subscribe without since"
                        )
                    for topic in topics:
                        self._check(topic)
                    limit = self._settings.subscriptions_per_connection
                    self._subscriptions.add(connection_id, dialect, [str(t) for t in topics], limit, now_ms)
                    return Subscribed(topics, request_id)
        except ClientError as error:
            return error.with_request_id(command.request_id)

    def _check(self, topic: Topic) -> None:
        if topic.is_private:
            raise ClientError(
                Code.PRIVATE_TOPIC, f"topic {str(topic)!r} is only for its own user, and this connection has none"
            )
        network = topic.network
        if network is not None and network not in self._settings.networks:
            raise ClientError(
                Code.UNKNOWN_NETWORK,
                f"unknown network {network!r} in {str(topic)!r}; known: {', '.join(self._settings.networks)}",
            )
