"""The WebSocket protocols as an AsyncAPI 3 document, from the models that check clients' messages.

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
from pages import told
from pages.samples import SAID
from pages.samples import told as samples_of

Node: TypeAlias = dict[str, Any]  # a part of the document

ABOUT: dict[str, tuple[str, str]] = {
    "chaincast.v1": (
        "Chaincast's own: JSON objects, each with a `type`. What a connection speaks that asks for nothing else.",
        "docs/protocol.md",
    ),
    "coremem": ("JSON `{type, channel, params}`, events in plural arrays by channel.", "docs/dialects.md"),
    "moonx": ("JSON `{id, type, timestamp, data}`; the server asks for a token first.", "docs/dialects.md"),
    "socketio": (
        "Engine.IO 4 and Socket.IO 5 in text frames (`42[event, argument]`); the verb used to subscribe decides in "
        "which of three servers' words events come.",
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
    """The document."""
    parts = _Parts()
    for name in registry.NAMES:
        parts.add(name)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Chaincast",
            "version": VERSION,
            "description": "Blockchain events over WebSocket. One address; a connection speaks what it asks for, by "
            "`?dialect=`, by the subprotocol `chaincast.NAME`, as Socket.IO's clients do, or by its first message.",
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
    """What the document is put together from, dialect by dialect."""

    def __init__(self) -> None:
        self.channels: Node = {}
        self.operations: Node = {}
        self.messages: Node = {}
        self.schemas: Node = {}

    def add(self, dialect: str) -> None:
        description, page = ABOUT[dialect]
        said = self._said(dialect)
        answered = self._told(dialect)
        query = {"type": "object", "properties": _query(dialect)}
        self.channels[dialect] = {
            "address": "/",
            "title": dialect,
            "description": f"{description} ({page})",
            "messages": {
                key: {"$ref": f"#/components/messages/{message}"} for key, message in {**said, **answered}.items()
            },
            "bindings": {"ws": {"method": "GET", "query": query, "bindingVersion": "0.1.0"}},
        }
        for action, messages in (("receive", said), ("send", answered)):
            self.operations[f"{dialect}.{action}"] = {
                "action": action,
                "channel": {"$ref": f"#/channels/{dialect}"},
                "summary": "what a client says" if action == "receive" else "what a client is told",
                "messages": [{"$ref": f"#/channels/{dialect}/messages/{key}"} for key in messages],
            }

    def _said(self, dialect: str) -> dict[str, str]:
        """The messages that clients say: their key in the channel, and what they are called among all."""
        module = import_module(f"chaincast.protocol.dialects.{_MODULES[dialect]}.messages")
        models: Mapping[str, type[BaseModel] | None] = module.MODELS
        found = {}
        for name, model in models.items():
            payload = _payload(dialect, name, None if model is None else self._schema(model, dialect))
            texts = [text for key, text in SAID[dialect] if key == name]
            summary = model.__doc__ or "" if model is not None and model.__doc__ != BaseModel.__doc__ else ""
            found[f"say_{_key(name)}"] = self._message(dialect, f"say_{name}", name, payload, texts, summary)
        return found

    def _told(self, dialect: str) -> dict[str, str]:
        samples: dict[str, list[str]] = {}
        for name, text in samples_of(dialect):
            samples.setdefault(name, []).append(text)
        if dialect == registry.DEFAULT:
            return {
                f"tell_{name}": self._message(
                    dialect,
                    f"tell_{name}",
                    name,
                    self._schema(model, dialect),
                    samples.get(name, []),
                    (model.__doc__ or "").strip() if model.__doc__ != told.Told.__doc__ else "",
                )
                for name, model in told.MODELS.items()
            }
        return {
            f"tell_{_key(name)}": self._message(dialect, f"tell_{name}", name, _any_of(texts), texts, "")
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
        """A reference to a model's schema, which is put among the others."""
        prefix = _key(dialect)
        schema = model.model_json_schema(ref_template=f"#/components/schemas/{prefix}_{{model}}")
        for name, part in schema.pop("$defs", {}).items():
            self.schemas[f"{prefix}_{name}"] = part
        name = f"{prefix}_{model.__name__.lstrip('_')}"
        self.schemas[name] = schema
        return {"$ref": f"#/components/schemas/{name}"}


def _payload(dialect: str, name: str, model: Node | None) -> Node:
    """Where a dialect has a message's own part: the whole, `data` of an envelope, or an event's argument."""
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
    """The words of servers before this one: what their documents promise, by example (docs/dialects.md)."""
    return {"type": "string"} if isinstance(_parsed(texts[0]), str) else {"type": "object"}


def _query(dialect: str) -> Node:
    if dialect == "socketio":
        return {"EIO": {"const": "4"}, "transport": {"const": "websocket"}}
    return {"dialect": {"type": "string", "const": dialect}}


def _parsed(text: str) -> Any:
    return json.loads(text) if text.startswith("{") else text


def _key(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)
