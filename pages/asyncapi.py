"""The WebSocket protocols as an AsyncAPI 3 document, generated from the models that validate clients' messages.

Source: asyncapi.com, "AsyncAPI Specification 3.0.0".
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib import import_module
from typing import Any, TypeAlias

from pydantic import BaseModel

from chaincast.protocol.dialects import registry
from chaincast.version import VERSION
from pages import server_messages
from pages.samples import CLIENT_SAMPLES, server_samples

Node: TypeAlias = dict[str, Any]
"""An object of the document."""

ABOUT: dict[str, tuple[str, str]] = {
    "chaincast.v1": (
        "Chaincast's own protocol: JSON objects with a `type`. It is the default of connections.",
        "docs/protocol.md",
    ),
    "coremem": ("JSON `{type, channel, params}`; events arrive in arrays by channel.", "docs/dialects.md"),
    "moonx": ("JSON `{id, type, timestamp, data}`; the server first requests a token.", "docs/dialects.md"),
    "socketio": (
        "Engine.IO 4 and Socket.IO 5 in text frames (`42[event, argument]`); the event name of the subscription "
        "selects one of three vocabularies.",
        "docs/dialects.md",
    ),
}
_MODULES = {
    "chaincast.v1": "chaincast_v1",
    "coremem": "coremem",
    "moonx": "moonx",
    "socketio": "socketio",
}


def asyncapi() -> Node:
    """Return the document."""
    parts = _Parts()
    for name in registry.NAMES:
        parts.add(name)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Chaincast",
            "version": VERSION,
            "description": "Blockchain events over WebSocket. All dialects share one address: a client selects its "
            "dialect with `?dialect=`, the subprotocol `chaincast.NAME`, Socket.IO's query, or its first message.",
        },
        "defaultContentType": "application/json",
        "servers": {
            "deployment": {
                "host": "{api}.execute-api.{region}.amazonaws.com",
                "pathname": "/{stage}",
                "protocol": "wss",
                "description": "the stack's output `WebSocketUrl`",
                "variables": {
                    "api": {"description": "the stack's output `ApiId`"},
                    "region": {"default": "us-east-1"},
                    "stage": {"default": "prod"},
                },
            }
        },
        "channels": parts.channels,
        "operations": parts.operations,
        "components": {"messages": parts.messages, "schemas": parts.schemas},
    }


class _Parts:
    """The channels, operations, messages and schemas of the document."""

    def __init__(self) -> None:
        self.channels: Node = {}
        self.operations: Node = {}
        self.messages: Node = {}
        self.schemas: Node = {}

    def add(self, dialect: str) -> None:
        """Add a dialect's channel with its messages."""
        description, page = ABOUT[dialect]
        received = self._client_messages(dialect)
        sent = self._server_messages(dialect)
        query = {"type": "object", "properties": _query(dialect)}
        self.channels[dialect] = {
            "address": "/",
            "title": dialect,
            "description": f"{description} ({page})",
            "messages": {
                key: {"$ref": f"#/components/messages/{message}"} for key, message in {**received, **sent}.items()
            },
            "bindings": {"ws": {"method": "GET", "query": query, "bindingVersion": "0.1.0"}},
        }
        for action, messages in (("receive", received), ("send", sent)):
            self.operations[f"{dialect}.{action}"] = {
                "action": action,
                "channel": {"$ref": f"#/channels/{dialect}"},
                "summary": "messages from clients" if action == "receive" else "messages to clients",
                "messages": [{"$ref": f"#/channels/{dialect}/messages/{key}"} for key in messages],
            }

    def _client_messages(self, dialect: str) -> dict[str, str]:
        """Add the messages that clients send. Return their keys: in the channel → in the document."""
        module = import_module(f"chaincast.protocol.dialects.{_MODULES[dialect]}.messages")
        models: Mapping[str, type[BaseModel] | None] = module.MODELS
        found = {}
        for name, model in models.items():
            payload = _payload(dialect, name, None if model is None else self._schema(model, dialect))
            texts = [text for key, text in CLIENT_SAMPLES[dialect] if key == name]
            summary = model.__doc__ or "" if model is not None and model.__doc__ != BaseModel.__doc__ else ""
            found[f"client_{_key(name)}"] = self._message(dialect, f"client_{name}", name, payload, texts, summary)
        return found

    def _server_messages(self, dialect: str) -> dict[str, str]:
        """Add the messages that clients receive. Return their keys: in the channel → in the document."""
        samples: dict[str, list[str]] = {}
        for name, text in server_samples(dialect):
            samples.setdefault(name, []).append(text)
        if dialect == registry.DEFAULT:
            return {
                f"server_{name}": self._message(
                    dialect,
                    f"server_{name}",
                    name,
                    self._schema(model, dialect),
                    samples.get(name, []),
                    (model.__doc__ or "").strip(),
                )
                for name, model in server_messages.MODELS.items()
            }
        return {
            f"server_{_key(name)}": self._message(dialect, f"server_{name}", name, _any_of(texts), texts, "")
            for name, texts in samples.items()
        }

    def _message(self, dialect: str, key: str, name: str, payload: Node, texts: list[str], summary: str) -> str:
        called = _key(f"{dialect}_{key}")
        message: Node = {"name": name, "title": name, "payload": payload}
        if summary:
            message["summary"] = " ".join(summary.split())
        if texts:
            message["examples"] = [{"name": name, "payload": _parsed(text)} for text in texts]
        self.messages[called] = message
        return called

    def _schema(self, model: type[BaseModel], dialect: str) -> Node:
        """Add a model's schema. Return a reference to it."""
        prefix = _key(dialect)
        schema = model.model_json_schema(ref_template=f"#/components/schemas/{prefix}_{{model}}")
        for name, part in schema.pop("$defs", {}).items():
            self.schemas[f"{prefix}_{name}"] = part
        name = f"{prefix}_{model.__name__.lstrip('_')}"
        self.schemas[name] = schema
        return {"$ref": f"#/components/schemas/{name}"}


def _payload(dialect: str, name: str, model: Node | None) -> Node:
    """Return the schema of a whole message: the model's, or an envelope that contains it."""
    if dialect == "socketio":
        text = f'42 and a JSON array: ["{name.partition(" ")[0]}", argument]'
        return {"type": "string", "description": text, **({"x-argument": model} if model else {})}
    if dialect == "moonx":
        properties: Node = {"type": {"const": name}, "id": {"type": ["string", "integer", "null"]}}
        return {
            "type": "object",
            "required": ["type"],
            "properties": {**properties, "data": model or {"type": "object"}},
        }
    if dialect == "coremem":
        typed: Node = {"type": "object", "required": ["type"], "properties": {"type": {"const": name}}}
        return {"allOf": [typed, model]} if model else typed
    assert model is not None
    return model


def _any_of(texts: list[str]) -> Node:
    """Return the schema of messages in the format of an earlier server, which examples describe (docs/dialects.md)."""
    return {"type": "string"} if isinstance(_parsed(texts[0]), str) else {"type": "object"}


def _query(dialect: str) -> Node:
    if dialect == "socketio":
        return {"EIO": {"const": "4"}, "transport": {"const": "websocket"}}
    return {"dialect": {"type": "string", "const": dialect}}


def _parsed(text: str) -> Any:
    return json.loads(text) if text.startswith("{") else text


def _key(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)
