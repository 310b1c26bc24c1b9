"""Carries out the commands of clients, independent of the dialect that they speak."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Protocol

from chaincast.auth.jwt import Authenticator, authenticate_or_anonymous
from chaincast.config.function_settings import Settings
from chaincast.errors import RequestError
from chaincast.model.events import Event, Json
from chaincast.model.holds import PlannedReplay
from chaincast.model.topics import ANY, Topic
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
from chaincast.sessions.access_rules import AccessRules, resolve_own_topic
from chaincast.sessions.history_queries import HistoryQueries, HistoryStore
from chaincast.sessions.statistics import contract_stats, token_stats

MAX_SNAPSHOTS = 10
"""Maximum number of token snapshots in one `Subscribed`. The state of further tokens arrives with their next event."""

MAX_STATS_EVENTS = 5_000
"""Maximum number of a contract's events on each network, the newest ones, that its statistics are computed from."""


class SubscriptionStore(Protocol):
    """Storage of subscriptions; `chaincast.sessions.subscription_store` keeps them in DynamoDB."""

    def add(
        self,
        connection_id: str,
        dialect: str,
        topics: Sequence[str],
        kinds: Collection[str],
        limit: int,
        now_ms: int,
        *,
        identity: int = 0,
        replays: Sequence[PlannedReplay] = (),
        per_hour: int = 0,
    ) -> None:
        """Add topics for a connection with this identity, and begin replays with them."""
        ...

    def remove(self, connection_id: str, topics: Collection[str]) -> None:
        """Remove topics."""
        ...

    def remove_matching(self, connection_id: str, matches: Callable[[str], bool]) -> Sequence[str]:
        """Remove the topics that match, and return them."""
        ...


class Resumption(Protocol):
    """Replay of the events that a client missed; `chaincast.replay.start` replays them from the event log."""

    def check(self, since: Mapping[str, str]) -> None:
        """Check that a replay can begin at these cursors. Raises `RequestError`."""
        ...

    def plan(self, connection_id: str, dialect: str, since: Mapping[str, str], now_ms: int) -> Sequence[PlannedReplay]:
        """Return replays after these cursors, one per source."""
        ...

    def newest_cursors(self, sources: Iterable[str]) -> dict[str, str]:
        """Return the newest cursor of each source."""
        ...


class IdentityChanges(Protocol):
    """Storage of the identities of connections; `chaincast.sessions.identity_changes` keeps it in DynamoDB."""

    def set_identity(
        self,
        caller: Caller,
        now_ms: int,
        remove: Callable[[str], bool],
        *,
        user: User | None = None,
        joined: bool | None = None,
    ) -> None:
        """Set the connection's user and its join state (None: unchanged), and remove the topics that match."""
        ...


class CommandHandler:
    """Checks and carries out one command, and returns its outcome."""

    def __init__(
        self,
        subscriptions: SubscriptionStore,
        resumption: Resumption,
        history: HistoryStore,
        identities: IdentityChanges,
        authenticator: Authenticator,
        settings: Settings,
    ) -> None:
        self._subscriptions = subscriptions
        self._resumption = resumption
        self._history = HistoryQueries(history, settings.networks)
        self._identities = identities
        self._authenticator = authenticator
        self._rules = AccessRules(settings)
        self._settings = settings

    def handle(self, command: Command, caller: Caller, now_ms: int) -> Outcome:
        """Return the outcome of a command; a `RequestError` is returned as an outcome, too, not raised.

        Raise `IdentityChanged` if the caller's identity has changed meanwhile, so that the command has to be carried
        out again for the new one.
        """
        try:
            self._rules.check_command(command, caller)
            return self._carry_out(command, caller, now_ms)
        except RequestError as error:
            return error.with_request_id(command.request_id)

    def _carry_out(self, command: Command, caller: Caller, now_ms: int) -> Outcome:
        match command:
            case KeepAlive(request_id):
                return NoReply(request_id)
            case Ping(request_id):
                return Pong(now_ms, request_id)
            case CloseConnection(request_id):
                return ConnectionClosing(request_id)
            case Subscribe():
                return self._subscribe(command, caller, now_ms)
            case Unsubscribe():
                return self._unsubscribe(command, caller)
            case UnsubscribeFamilies(families, request_id):
                return Unsubscribed(self._remove_matching(caller, lambda topic: topic.family in families), request_id)
            case Authenticate():
                return self._authenticate(command, caller, now_ms)
            case Join():
                return self._join(command, caller, now_ms)
            case Leave():
                return self._leave(command, caller, now_ms)
            case GetHistory():
                return self._get_history(command, caller)
            case GetPrice():
                return self._get_price(command, caller)
            case GetStats():
                return self._get_stats(command, caller, now_ms)

    # Subscriptions

    def _subscribe(self, command: Subscribe, caller: Caller, now_ms: int) -> Subscribed:
        requested = command.own_topics if command.own_topics and caller.user else command.topics
        topics = tuple(resolve_own_topic(topic, caller.user) for topic in requested)
        since = command.since or {}
        self._check_subscription(topics, since, caller)
        # Read before the topics are live: no event that is delivered from then on lies before these cursors.
        cursors = self._start_cursors(topics, since) if command.with_cursors else {}
        if topics:
            self._add(topics, since, command, caller, now_ms)
        return Subscribed(
            topics,
            command.request_id,
            self._snapshots(topics, command.snapshot_families),
            self._recent_events(topics, command.recent_events),
            cursors,
        )

    def _check_subscription(self, topics: Sequence[Topic], since: Mapping[str, str], caller: Caller) -> None:
        for topic in topics:
            self._rules.check_topic(topic, caller)
        for source in since:
            self._rules.check_source(source, "since")
        if since:
            self._resumption.check(since)

    def _start_cursors(self, topics: Sequence[Topic], since: Mapping[str, str]) -> dict[str, str]:
        """Return a cursor for each source of the topics that every event to come lies behind.

        It is where a replay begins, or the newest cursor of a source without a replay.
        """
        networks = {topic.network for topic in topics}  # None: a topic of no single network, which any source may serve
        sources = [source for source in self._settings.sources if source in networks or None in networks]
        replayed = {source: since[source] for source in sources if source in since}
        return replayed | self._resumption.newest_cursors([source for source in sources if source not in replayed])

    def _add(
        self, topics: Sequence[Topic], since: Mapping[str, str], command: Subscribe, caller: Caller, now_ms: int
    ) -> None:
        """Make topics live, and begin the replays with them that the client asked for."""
        self._subscriptions.add(
            caller.connection_id,
            f"{caller.dialect}/{command.vocabulary}" if command.vocabulary else caller.dialect,
            [str(topic) for topic in topics],
            command.kinds,
            self._settings.subscriptions_per_connection,
            now_ms,
            identity=caller.identity,
            replays=self._resumption.plan(caller.connection_id, caller.dialect, since, now_ms) if since else (),
            per_hour=self._settings.limits.subscribes_per_hour,
        )

    def _snapshots(self, topics: Sequence[Topic], families: Collection[str]) -> dict[str, TokenSnapshot]:
        """Return a snapshot for each topic that names one token; topics of other families have none."""
        token_topics = [topic for topic in topics if topic.family in families and topic.key not in (ANY, "")]
        return {
            str(topic): TokenSnapshot(
                self._history.latest("prices", topic.scope, topic.key),
                self._history.latest("trades", topic.scope, topic.key) if topic.family == "token" else None,
            )
            for topic in token_topics[:MAX_SNAPSHOTS]
        }

    def _recent_events(self, topics: Sequence[Topic], count: int) -> tuple[Event, ...]:
        """Return up to `count` newest events of each topic, newest first."""
        if not count:
            return ()
        return tuple(event for topic in topics for event in self._history.newest(topic, count)[0])

    def _unsubscribe(self, command: Unsubscribe, caller: Caller) -> Unsubscribed:
        topics = tuple(resolve_own_topic(topic, caller.user) for topic in command.topics)
        self._subscriptions.remove(caller.connection_id, [str(topic) for topic in topics])
        return Unsubscribed(topics, command.request_id)

    def _remove_matching(self, caller: Caller, matches: Callable[[Topic], bool]) -> tuple[Topic, ...]:
        """Unsubscribe the caller from their topics that match; return these topics."""
        removed = self._subscriptions.remove_matching(caller.connection_id, lambda text: matches(Topic.parse(text)))
        return tuple(map(Topic.parse, removed))

    # Identity

    def _authenticate(self, command: Authenticate, caller: Caller, now_ms: int) -> Authenticated:
        user = self._authenticator.authenticate(command.token)
        self._set_identity(caller, user, now_ms)
        return Authenticated(user, command.request_id)

    def _join(self, command: Join, caller: Caller, now_ms: int) -> Joined:
        user = None
        if command.token:
            user = authenticate_or_anonymous(self._authenticator, command.token, self._settings.auth)
        self._set_identity(caller, user, now_ms, joined=True)
        if user is None and caller.user:
            user = User(caller.user)  # authenticated in the handshake
        return Joined(caller.connection_id, user, command.request_id)

    def _leave(self, command: Leave, caller: Caller, now_ms: int) -> NoReply:
        self._identities.set_identity(caller, now_ms, lambda _: True, joined=False)
        return NoReply(command.request_id)

    def _set_identity(self, caller: Caller, user: User | None, now_ms: int, *, joined: bool | None = None) -> None:
        """Store the caller's user, if there is one, and the join state in one write.

        Topics that the new user may not receive are removed: private topics of the previous user, and premium topics
        if only the previous user was premium.
        """

        def is_lost(text: str) -> bool:
            if user is None:
                return False
            topic = Topic.parse(text)
            is_others = topic.is_private and topic.scope != user.id
            return is_others or (not user.premium and self._settings.premium.covers(topic))

        self._identities.set_identity(caller, now_ms, is_lost, user=user, joined=joined)

    # Queries

    def _get_history(self, command: GetHistory, caller: Caller) -> History:
        topic = command.topic
        if command.alert_type:
            self._rules.check_network(topic.scope, "get alerts")
            self._rules.check_premium(Topic("alerts", command.alert_type), caller)
            topic = Topic("alerts", topic.scope, command.alert_type)
        else:
            self._rules.check_topic(topic, caller)
        events, before = self._history.newest(topic, command.limit, command.event_names, command.before)
        return History(command.what, tuple(events), before, command.request_id)

    def _get_price(self, command: GetPrice, caller: Caller) -> Price:
        network, token = command.network, command.token
        if network != ANY:
            self._rules.check_network(network, "get price")
        self._rules.check_premium(Topic("prices", network, token), caller)
        return Price(network, token, self._history.latest("prices", network, token), command.request_id)

    def _get_stats(self, command: GetStats, caller: Caller, now_ms: int) -> Stats:
        self._rules.check_topic(command.topic, caller)
        return Stats(command.topic, self._stats(command.topic, now_ms), command.request_id)

    def _stats(self, topic: Topic, now_ms: int) -> dict[str, Json]:
        if topic.family == "token":
            return token_stats(self._history.latest("prices", topic.scope, topic.key), now_ms)
        events, is_complete = self._history.read_many(topic, MAX_STATS_EVENTS)
        return contract_stats(events, is_complete, now_ms)
