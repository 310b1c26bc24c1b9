"""Carrying out a client's command: what is allowed, what it does, what is answered."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Protocol

from chaincast.auth.jwt import Authenticator, authenticate_or_anonymous
from chaincast.config.function_settings import Settings
from chaincast.errors import ClientError, Code, ProtocolViolation
from chaincast.model.events import Event, Json
from chaincast.model.topics import ANY, OWN, Topic
from chaincast.protocol.commands import (
    Authenticate,
    Authenticated,
    Caller,
    CloseConnection,
    Command,
    ConnectionClosing,
    GetHistory,
    GetPrice,
    GetStats,
    History,
    Join,
    Joined,
    KeepAlive,
    Leave,
    NoReply,
    Outcome,
    Ping,
    Pong,
    Price,
    Stats,
    Subscribe,
    Subscribed,
    TokenSnapshot,
    Unsubscribe,
    Unsubscribed,
    UnsubscribeFamilies,
    User,
)
from chaincast.sessions.history_queries import HistoryQueries, HistoryStore
from chaincast.sessions.statistics import contract_stats, token_stats

MAX_SNAPSHOTS = 10
"""Of so many tokens in one subscribe it is told how they stand; of the others their next event will."""

MAX_STATS_EVENTS = 5_000
"""Events of a contract that its statistics are made of, the newest."""


class SubscriptionStore(Protocol):
    """What commands do to subscriptions; `chaincast.sessions.subscription_store` does it to DynamoDB."""

    def add(
        self,
        connection_id: str,
        dialect: str,
        topics: Sequence[str],
        kinds: Collection[str],
        limit: int,
        now_ms: int,
        before_rows: Callable[[], None] | None = None,
        *,
        per_hour: int = 0,
    ) -> None: ...

    def remove(self, connection_id: str, topics: Sequence[str]) -> None: ...

    def list_topics(self, connection_id: str) -> Sequence[str]: ...


class Resumption(Protocol):
    """How what a client missed is replayed; `chaincast.replay.start` does it from the Log."""

    def check(self, since: Mapping[str, str]) -> None: ...

    def begin(self, connection_id: str, dialect: str, since: Mapping[str, str], now_ms: int) -> None: ...

    def standing(self, sources: Iterable[str]) -> dict[str, str]: ...


class IdentityService(Protocol):
    """Who connections are; `chaincast.sessions.identity_service` keeps it."""

    def set_identity(
        self, caller: Caller, now_ms: int, *, user: User | None = None, joined: bool | None = None
    ) -> None: ...


class CommandHandler:
    """Acts for connections, whatever dialect they speak."""

    def __init__(
        self,
        subscriptions: SubscriptionStore,
        resumption: Resumption,
        past: HistoryStore,
        identities: IdentityService,
        authenticator: Authenticator,
        settings: Settings,
    ) -> None:
        self._subscriptions = subscriptions
        self._resumption = resumption
        self._past = HistoryQueries(past, settings.networks)
        self._identities = identities
        self._authenticator = authenticator
        self._premium = settings.premium
        self._settings = settings

    def handle(self, command: Command, caller: Caller, now_ms: int) -> Outcome:
        """The outcome of a command; what is not allowed is one, too."""
        try:
            self._check_allowed(command, caller)
            return self._act(command, caller, now_ms)
        except ClientError as error:
            return error.with_request_id(command.request_id)

    def _act(self, command: Command, caller: Caller, now_ms: int) -> Outcome:
        match command:
            case KeepAlive(request_id):
                return NoReply(request_id)
            case Ping(request_id):
                return Pong(now_ms, request_id)
            case Subscribe():
                return self._subscribe(command, caller, now_ms)
            case Unsubscribe(topics, request_id):
                topics = tuple(_own(topic, caller.user) for topic in topics)
                self._subscriptions.remove(caller.connection_id, [str(t) for t in topics])
                return Unsubscribed(topics, request_id)
            case UnsubscribeFamilies(families, request_id):
                return Unsubscribed(self._leave(caller, lambda topic: topic.family in families), request_id)
            case Authenticate(token, request_id):
                user = self._authenticator.authenticate(token)
                self._become(caller, user, now_ms)
                return Authenticated(user, request_id)
            case Join(token, request_id):
                joining = authenticate_or_anonymous(self._authenticator, token, self._settings.auth) if token else None
                self._become(caller, joining, now_ms, joined=True)
                known = User(caller.user) if caller.user else None  # since the handshake
                return Joined(caller.connection_id, joining or known, request_id)
            case Leave(request_id):
                self._leave(caller, lambda _: True)
                self._identities.set_identity(caller, now_ms, joined=False)
                return NoReply(request_id)
            case CloseConnection(request_id):
                return ConnectionClosing(request_id)
        return self._get(command, caller, now_ms)

    def _get(self, command: GetHistory | GetPrice | GetStats, caller: Caller, now_ms: int) -> Outcome:
        match command:
            case GetHistory(what, topic, limit, names, before, request_id, alert):
                kept_under = Topic("alerts", topic.scope, alert) if alert else topic
                if alert:
                    self._check_network(topic.scope, "get alerts")
                    self._check_premium(Topic("alerts", alert), caller)
                else:
                    self._check(topic, caller)
                events, behind = self._past.newest(kept_under, limit, names, before)
                return History(what, tuple(events), behind, request_id)
            case GetPrice(network, token, request_id):
                if network != ANY:
                    self._check_network(network, "get price")
                self._check_premium(Topic("prices", network, token), caller)
                return Price(network, token, self._past.latest("prices", network, token), request_id)
            case GetStats(about, request_id):
                self._check(about, caller)
                return Stats(about, self._stats(about, now_ms), request_id)

    def _subscribe(self, command: Subscribe, caller: Caller, now_ms: int) -> Subscribed:
        since = command.since
        wanted = command.own_topics if command.own_topics and caller.user else command.topics
        topics = tuple(_own(topic, caller.user) for topic in wanted)
        for topic in topics:
            self._check(topic, caller)
        if since:
            for source in since:
                if source not in self._settings.sources:
                    self._check_network(source, "since")
            self._resumption.check(since)
        # Before the rows are there: nothing that is live from then on comes before these.
        cursors = self._cursors(topics, since or {}) if command.with_cursors else {}
        if topics:
            self._subscriptions.add(
                caller.connection_id,
                f"{caller.dialect}/{command.vocabulary}" if command.vocabulary else caller.dialect,
                [str(t) for t in topics],
                command.kinds,
                self._settings.subscriptions_per_connection,
                now_ms,
                (lambda: self._resumption.begin(caller.connection_id, caller.dialect, since, now_ms))
                if since
                else None,
                per_hour=self._settings.limits.subscribes_per_hour,
            )
        about_tokens = [t for t in topics if t.family in command.snapshot_families and t.key not in (ANY, "")]
        now = {
            str(topic): TokenSnapshot(
                self._past.latest("prices", topic.scope, topic.key),
                self._past.latest("trades", topic.scope, topic.key) if topic.family == "token" else None,
            )
            for topic in about_tokens[:MAX_SNAPSHOTS]
        }
        recent: list[Event] = []
        if command.recent_events:
            for topic in topics:
                recent += self._past.newest(topic, command.recent_events, (), None)[0]
        return Subscribed(topics, command.request_id, now, tuple(recent), cursors)

    def _cursors(self, topics: Sequence[Topic], since: Mapping[str, str]) -> dict[str, str]:
        """Of each source of these topics one that all to follow comes behind: the newest, or where a replay begins."""
        sources = self._sources_of(topics)
        replayed = {source: since[source] for source in sources if source in since}
        return replayed | self._resumption.standing([source for source in sources if source not in replayed])

    def _sources_of(self, topics: Sequence[Topic]) -> tuple[str, ...]:
        """The sources that events under these topics can be of: of a network's, that; of others, any."""
        named = {topic.network for topic in topics}
        return tuple(source for source in self._settings.sources if source in named or None in named)

    def _become(self, caller: Caller, user: User | None, now_ms: int, joined: bool | None = None) -> None:
        """Note whose the connection is, if that is known, in one write; what was another user's own is nothing to this
        one."""
        if user is not None and caller.user not in ("", user.id):
            self._leave(caller, lambda topic: topic.is_private)
        self._identities.set_identity(caller, now_ms, user=user, joined=joined)
        if user is not None and caller.premium and not user.premium:
            self._leave(caller, self._premium.covers)

    def _leave(self, caller: Caller, is_left: Callable[[Topic], bool]) -> tuple[Topic, ...]:
        """Stop listening to some of the topics that are held; which those were."""
        held = [Topic.parse(text) for text in self._subscriptions.list_topics(caller.connection_id)]
        left = tuple(topic for topic in held if is_left(topic))
        if left:
            self._subscriptions.remove(caller.connection_id, [str(t) for t in left])
        return left

    def _stats(self, about: Topic, now_ms: int) -> dict[str, Json]:
        if about.family == "token":
            return token_stats(self._past.latest("prices", about.scope, about.key), now_ms)
        found, complete = self._past.read_many(about, MAX_STATS_EVENTS)
        return contract_stats(found, complete, now_ms)

    def _check_allowed(self, command: Command, caller: Caller) -> None:
        """Whether a caller may ask for anything like this now."""
        joining = isinstance(command, Join)
        if caller.joined is not None and not isinstance(command, _ALWAYS) and joining == caller.joined:
            what = "joined already" if joining else "not joined: connect to the namespace first"
            raise ProtocolViolation(Code.BAD_MESSAGE, what)
        if self._settings.auth == "required" and not caller.user:
            if isinstance(command, Join) and not command.token:
                raise ClientError(Code.AUTH_REQUIRED, "a token is required")
            if not isinstance(command, (*_ALWAYS, Join, Authenticate)):
                raise ClientError(Code.AUTH_REQUIRED, "authenticate first: this connection has no user")

    def _check(self, topic: Topic, caller: Caller) -> None:
        if topic.is_private and topic.scope != caller.user:
            this = f"this connection is {caller.user!r}'s" if caller.user else "this connection has none"
            raise ClientError(Code.PRIVATE_TOPIC, f"topic {str(topic)!r} is only for its own user, and {this}")
        if topic.network is not None:
            self._check_network(topic.network, repr(str(topic)))
        self._check_premium(topic, caller)

    def _check_premium(self, topic: Topic, caller: Caller) -> None:
        if not caller.premium and self._premium.covers(topic):
            needed = f"it needs a token with the claim {self._premium.needed}"
            raise ClientError(Code.PREMIUM_TOPIC, f"topic {str(topic)!r} is premium: {needed}")

    def _check_network(self, network: str, where: str) -> None:
        if network not in self._settings.networks:
            raise ClientError(
                Code.UNKNOWN_NETWORK,
                f"unknown network {network[:40]!r} in {where}; known: {', '.join(self._settings.networks)}",
            )


_ALWAYS = (KeepAlive, CloseConnection, Ping)
"""What may be asked for at any time."""


def _own(topic: Topic, user: str) -> Topic:
    """A topic with the caller's user in its place, if it is about that."""
    if topic.scope != OWN:
        return topic
    if not user:
        raise ClientError(Code.AUTH_REQUIRED, f"{topic.family}: whose? Authenticate first: this connection has no user")
    return Topic(topic.family, user)
