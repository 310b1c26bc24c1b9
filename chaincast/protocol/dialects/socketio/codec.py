"""`socketio`: Socket.IO 5 over Engine.IO 4, the protocol of three servers, which differ in their verbs.

A connection speaks `socketio`. The events of a subscription are encoded in the vocabulary of the verb that made it; for
fan-out, each vocabulary is a dialect of its own, such as `socketio/kaspump` (docs/dialects.md).
"""

from __future__ import annotations

from collections.abc import Mapping

from chaincast.errors import Code, ProtocolViolation, ReplyContext, RequestError
from chaincast.model.events import Event, Json, Kind
from chaincast.protocol.commands import (
    Authenticated,
    AuthenticationExpired,
    Command,
    Connected,
    ConnectionClosing,
    Joined,
    NoReply,
    Outcome,
    Pong,
    User,
)
from chaincast.protocol.dialects.base import Chains
from chaincast.protocol.dialects.event_fields import ANONYMOUS, error_fields, user_fields
from chaincast.protocol.dialects.mixins import SingleEventMessages
from chaincast.protocol.dialects.socketio import engine_io, packets
from chaincast.protocol.dialects.socketio.adstack import Adstack
from chaincast.protocol.dialects.socketio.kaspump import Kaspump
from chaincast.protocol.dialects.socketio.moonx_gateway import MoonxGateway, emit_published
from chaincast.protocol.dialects.socketio.vocabulary import SocketIoEmit, Vocabulary

VOCABULARIES: Mapping[str, Vocabulary] = {
    "kaspump": Kaspump(),
    "adstack": Adstack(),
    "moonx-gateway": MoonxGateway(),
}
"""Name → vocabulary."""


class SocketIo(SingleEventMessages):
    """The codec; `chaincast.protocol.dialects.base.Dialect` describes its methods."""

    name = "socketio"
    requires_join = answers_pings = True

    def __init__(self, chains: Chains) -> None:
        """Ignore the chain ids: these protocols identify networks by name."""

    def decode(self, body: bytes, max_bytes: int, max_topics: int) -> Command:
        """Return the client's command. Raises `RequestError`."""
        # Imported here, because functions that only encode must not import pydantic.
        from chaincast.protocol.dialects.socketio.messages import decode

        return decode(body, max_bytes, max_topics)

    def outcome_messages(self, outcome: Outcome, now_ms: int) -> tuple[bytes, ...]:
        """Return the frames that report an outcome; the vocabulary of the verb decides the event."""
        match outcome:
            case Connected(connection_id, max_bytes=max_bytes):
                return (engine_io.open_frame(connection_id, max_bytes),)
            case Joined(connection_id, user):
                return _welcome(connection_id, user, now_ms)
            case Authenticated(user, ReplyContext() as request):
                fields = user_fields(user)
                return _frames(
                    SocketIoEmit("authenticated", fields, even_with_ack=True),
                    request,
                    {"success": True, "data": fields},
                )
            case AuthenticationExpired(grace_seconds):
                message = "The token has expired: emit 'authenticate' with a fresh one"
                return (packets.event_frame("auth_expired", {"message": message, "timeout": grace_seconds * 1000}),)
            case Pong(_, ReplyContext("probe", (data,))):
                return (engine_io.pong_frame(data),)
            case NoReply():
                return (engine_io.NOOP_FRAME,)
            case ConnectionClosing() | ProtocolViolation():
                return ()
            case RequestError(request_id=ReplyContext("connect", (namespace, *_)), code=code, message=message):
                # The protocol's reference server refuses an unknown namespace with this message and no data.
                details: Json = None if code is Code.UNKNOWN_ROUTE else {"code": code.value}
                return (packets.connect_error_frame(namespace, message, details),)
            case RequestError():
                return _error_frames(outcome)
        request_id = outcome.request_id
        if not isinstance(request_id, ReplyContext):
            return ()
        emit = _vocabulary(request_id).reply(outcome)
        return () if emit is None else _frames(emit, request_id, {"success": True, "data": emit.data})

    def ping_message(self, now_ms: int) -> bytes | None:
        """Return the ping of Engine.IO, which clients answer with a pong."""
        return engine_io.PING_FRAME

    def event_fragment(self, event: Event) -> bytes | None:
        """Return an announcement, which every connection receives; other events belong to a vocabulary."""
        return _frame(emit_published(event, "system_alert")) if event.kind == Kind.SYSTEM_ALERT else None


class VocabularyCodec(SocketIo):
    """Encodes events in one vocabulary, for the subscriptions made with its verbs."""

    def __init__(self, chains: Chains, vocabulary: str) -> None:
        super().__init__(chains)
        self.name = f"{SocketIo.name}/{vocabulary}"
        self._vocabulary = VOCABULARIES[vocabulary]

    def event_fragment(self, event: Event) -> bytes | None:
        """Return the vocabulary's event; None if it has none for this kind."""
        emit = self._vocabulary.event(event)
        return None if emit is None else _frame(emit)


def kaspump(chains: Chains) -> VocabularyCodec:
    """Return the codec of `socketio/kaspump`."""
    return VocabularyCodec(chains, "kaspump")


def adstack(chains: Chains) -> VocabularyCodec:
    """Return the codec of `socketio/adstack`."""
    return VocabularyCodec(chains, "adstack")


def moonx_gateway(chains: Chains) -> VocabularyCodec:
    """Return the codec of `socketio/moonx-gateway`."""
    return VocabularyCodec(chains, "moonx-gateway")


def _welcome(connection_id: str, user: User | None, now_ms: int) -> tuple[bytes, ...]:
    """Return the greetings of all vocabularies in one, because no verb has shown yet which one the client uses."""
    greeting: dict[str, Json] = {
        "message": "Connected to WebSocket server",
        "socketId": connection_id,
        "connectionId": connection_id,
        "userId": ANONYMOUS if user is None else user.id,
        "timestamp": now_ms,
    }
    frames = (packets.connect_frame(connection_id), packets.event_frame("connected", greeting))
    if user is None:
        return frames
    return (*frames, packets.event_frame("authenticated", user_fields(user)))


def _error_frames(error: RequestError) -> tuple[bytes, ...]:
    ack_data: dict[str, Json] = {"success": False, "error": error.message, **error_fields(error)}
    request = error.request_id if isinstance(error.request_id, ReplyContext) else ReplyContext("")
    return _frames(_vocabulary(request).error(error), request, ack_data)


def _frames(emit: SocketIoEmit, request: ReplyContext, ack_data: Json) -> tuple[bytes, ...]:
    """Return the reply to a request: an event, or an acknowledgement if the client waits for one, or both."""
    if request.ack is None:
        return (_frame(emit),)
    ack_frame = packets.ack_frame(request.ack, ack_data)
    return (_frame(emit), ack_frame) if emit.even_with_ack else (ack_frame,)


def _frame(emit: SocketIoEmit) -> bytes:
    return packets.event_frame(emit.name, emit.data)


def _vocabulary(request: ReplyContext) -> Vocabulary:
    """Return the vocabulary of the request's verb; adstack's, whose `error` is generic, for requests without one."""
    return VOCABULARIES.get(request.verb.partition("/")[0]) or VOCABULARIES["adstack"]
