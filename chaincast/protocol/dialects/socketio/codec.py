"""`socketio`: Socket.IO 5 in Engine.IO 4, the protocol of three servers, told apart by the verbs they have.

A connection speaks `socketio`; what it subscribes to by a vocabulary's verb is told in that vocabulary, which for
fan-out is a dialect of its own (`socketio/kaspump`). docs/dialects.md.
"""

from __future__ import annotations

from collections.abc import Mapping

from chaincast.errors import ClientError, Code, ProtocolViolation, Request
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
from chaincast.protocol.dialects.socketio import engine_packets, packets
from chaincast.protocol.dialects.socketio.adstack import Adstack
from chaincast.protocol.dialects.socketio.kaspump import Kaspump
from chaincast.protocol.dialects.socketio.moonx_gateway import MoonxGateway, published
from chaincast.protocol.dialects.socketio.vocabulary import SocketIoEmit, Vocabulary

VOCABULARIES: Mapping[str, Vocabulary] = {
    "kaspump": Kaspump(),
    "adstack": Adstack(),
    "moonx-gateway": MoonxGateway(),
}


class SocketIo(SingleEventMessages):
    """The codec. See `chaincast.protocol.dialects.base.Dialect` for what each method promises."""

    name = "socketio"
    requires_join = answers_pings = True

    def __init__(self, chains: Chains) -> None:
        """Networks go by their names here."""

    def decode(self, body: bytes, max_bytes: int, max_topics: int) -> Command:
        from chaincast.protocol.dialects.socketio.messages import decode  # pydantic: not for those that only encode

        return decode(body, max_bytes, max_topics)

    def outcome_messages(self, outcome: Outcome, now_ms: int) -> tuple[bytes, ...]:
        match outcome:
            case Connected(connection_id, max_bytes=max_bytes):
                return (engine_packets.open_frame(connection_id, max_bytes),)
            case Joined(connection_id, user):
                return _welcome(connection_id, user, now_ms)
            case Authenticated(user, Request() as asked):
                told = user_fields(user)
                return _said(SocketIoEmit("authenticated", told, True), asked, {"success": True, "data": told})
            case AuthenticationExpired(grace_seconds):
                message = "The token has expired: emit 'authenticate' with a fresh one"
                return (packets.event_frame("auth_expired", {"message": message, "timeout": grace_seconds * 1000}),)
            case Pong(_, Request("probe", (data,))):
                return (engine_packets.pong_frame(data),)
            case NoReply():
                return (engine_packets.NOOP_FRAME,)
            case ConnectionClosing() | ProtocolViolation():
                return ()
            case ClientError(request_id=Request("connect", (namespace, *_)), code=code, message=message):
                # An unknown namespace is refused in the very words of the protocol's reference.
                about: Json = None if code is Code.UNKNOWN_ROUTE else {"code": code.value}
                return (packets.connect_error_frame(namespace, message, about),)
            case ClientError():
                return _failed(outcome)
        request = outcome.request_id
        if not isinstance(request, Request) or (said := _vocabulary(request).answer(outcome)) is None:
            return ()
        return _said(said, request, {"success": True, "data": said.data})

    def ping_message(self, now_ms: int) -> bytes | None:
        return engine_packets.PING_FRAME

    def event_fragment(self, event: Event) -> bytes | None:
        # Who has not subscribed to anything still gets announcements.
        said = published(event, "system_alert") if event.kind == Kind.SYSTEM_ALERT else None
        return None if said is None else packets.event_frame(said.name, said.data)


class VocabularyCodec(SocketIo):
    """Events in the words of one vocabulary."""

    def __init__(self, chains: Chains, vocabulary: str) -> None:
        super().__init__(chains)
        self.name = f"{SocketIo.name}/{vocabulary}"
        self._words = VOCABULARIES[vocabulary]

    def event_fragment(self, event: Event) -> bytes | None:
        said = self._words.event(event)
        return None if said is None else packets.event_frame(said.name, said.data)


def kaspump(chains: Chains) -> VocabularyCodec:
    return VocabularyCodec(chains, "kaspump")


def adstack(chains: Chains) -> VocabularyCodec:
    return VocabularyCodec(chains, "adstack")


def moonx_gateway(chains: Chains) -> VocabularyCodec:
    return VocabularyCodec(chains, "moonx-gateway")


def _welcome(connection_id: str, user: User | None, now_ms: int) -> tuple[bytes, ...]:
    """Every vocabulary's greeting in one: nobody has used a verb yet."""
    told: dict[str, Json] = {
        "message": "Connected to WebSocket server",
        "socketId": connection_id,
        "connectionId": connection_id,
        "userId": ANONYMOUS if user is None else user.id,
        "timestamp": now_ms,
    }
    frames = (packets.connect_frame(connection_id), packets.event_frame("connected", told))
    if user is None:
        return frames
    return (*frames, packets.event_frame("authenticated", user_fields(user)))


def _failed(error: ClientError) -> tuple[bytes, ...]:
    refused: dict[str, Json] = {"success": False, "error": error.message, **error_fields(error)}
    request = error.request_id if isinstance(error.request_id, Request) else Request("")
    return _said(_vocabulary(request).error(error), request, refused)


def _said(said: SocketIoEmit, request: Request, ack: Json) -> tuple[bytes, ...]:
    """By an event, or by an acknowledgement where the client waits for one."""
    told = packets.event_frame(said.name, said.data)
    if request.ack is None:
        return (told,)
    acknowledged = packets.ack_frame(request.ack, ack)
    return (told, acknowledged) if said.always else (acknowledged,)


def _vocabulary(request: Request) -> Vocabulary:
    """That of the verb; where there is none, adstack's: it has a word for errors."""
    return VOCABULARIES.get(request.verb.partition("/")[0]) or VOCABULARIES["adstack"]
