"""The HTML page of both documents. It has no scripts and loads no other files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import escape
from typing import Any, TypeAlias

Node: TypeAlias = dict[str, Any]  # a part of a document

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --word: #2563eb; }
@media (prefers-color-scheme: dark) { :root { --word: #7aa7ff; } }
* { box-sizing: border-box; }
body { font: 15px/1.55 system-ui, sans-serif; margin: 0; display: grid; grid-template-columns: 15rem minmax(0, 56rem); }
nav { position: sticky; top: 0; height: 100vh; overflow: auto; padding: 1.5rem 1rem; }
nav { border-right: 1px solid var(--line); }
nav a { display: block; padding: .1rem 0; } nav b { display: block; margin: 1rem 0 .2rem; }
main { padding: 1.5rem 2rem 4rem; }
a { color: var(--word); text-decoration: none; } a:hover { text-decoration: underline; }
h1 { margin: 0 0 .3rem; font-size: 1.7rem; } h2 { margin: 2.6rem 0 .4rem; border-bottom: 1px solid var(--line); }
h3 { margin: 1.8rem 0 .5rem; font-size: 1rem; opacity: .75; }
details { border: 1px solid var(--line); border-radius: 8px; margin: .4rem 0; }
summary { padding: .45rem .8rem; cursor: pointer; } summary code { font-weight: 600; }
details > div { padding: 0 .8rem .8rem; }
code, pre { font: 13px/1.5 ui-monospace, monospace; }
pre { background: var(--soft); padding: .7rem; border-radius: 6px; overflow: auto; margin: .5rem 0; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0; }
th, td { text-align: left; padding: .25rem .6rem .25rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-size: .8rem; opacity: .7; } .tag { font-size: .75rem; border-radius: 4px; padding: .1rem .4rem; color: #fff; }
.client, .get { background: #2563eb; } .server, .post { background: #15803d; } .delete { background: #b91c1c; }
.soft { opacity: .75; }
@media (max-width: 50rem) {
  body { display: block; } nav { position: static; height: auto; border: 0; } main { padding: 1rem; }
}
"""


def page(asyncapi: Node, openapi: Node) -> str:
    """Return the page as HTML."""
    channels, paths = asyncapi["channels"], openapi["paths"]
    body = [
        f"<h1>{escape(asyncapi['info']['title'])} <small class=soft>{escape(asyncapi['info']['version'])}</small></h1>",
        f"<p>{_prose(asyncapi['info']['description'])}</p>",
        '<p><a href="docs/asyncapi.json">asyncapi.json</a> · <a href="docs/openapi.json">openapi.json</a></p>',
        *(part for name, channel in channels.items() for part in _channel(name, channel, asyncapi)),
        '<h2 id="http">HTTP</h2>',
        f"<p>{_prose(openapi['info']['description'])}</p>",
        *(part for path, node in paths.items() for part in _path(path, node, openapi)),
    ]
    links = "".join(f'<a href="#{escape(name)}">{escape(name)}</a>' for name in channels)
    routes = "".join(f'<a href="#{escape(_anchor(path))}">{escape(path)}</a>' for path in paths)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Chaincast</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<style>{STYLE}</style></head><body><nav><b>WebSocket</b>{links}<b>HTTP</b>{routes}</nav>"
        f"<main>{''.join(body)}</main></body></html>"
    )


def _channel(name: str, channel: Node, document: Node) -> Iterator[str]:
    yield f'<h2 id="{escape(name)}">{escape(name)}</h2><p>{_prose(channel["description"])}</p>'
    query = " ".join(
        f"{key}={value.get('const', '…')}" for key, value in channel["bindings"]["ws"]["query"]["properties"].items()
    )
    yield f"<p class=soft>connect with <code>?{escape(query.replace(' ', '&'))}</code></p>"
    for kind, title in (("client", "Messages from clients"), ("server", "Messages to clients")):
        yield f"<h3>{title}</h3>"
        for key, reference in channel["messages"].items():
            if key.startswith(kind + "_"):
                yield _message(_resolve(reference, document), kind, document)


def _message(message: Node, kind: str, document: Node) -> str:
    payload = message["payload"]
    argument = payload.get("x-argument", payload)
    fields = _fields(argument, document)
    examples = "".join(f"<pre>{escape(_shown(example['payload']))}</pre>" for example in message.get("examples", []))
    words = f"<p>{_prose(message['summary'])}</p>" if "summary" in message else ""
    brief = f" <span class=soft>{_prose(_first_sentence(message.get('summary', '')))}</span>"
    return (
        f'<details><summary><span class="tag {kind}">{"→" if kind == "client" else "←"}</span> '
        f"<code>{escape(message['title'])}</code>{brief}</summary><div>{words}{fields}{examples}</div></details>"
    )


def _fields(schema: Node, document: Node, depth: int = 0) -> str:
    """Return a table of an object's properties, followed by tables of the objects in it."""
    schema = _merged(schema, document)
    properties: Node = schema.get("properties", {})
    if not properties or depth > 2:
        return ""
    required = set(schema.get("required", ()))
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{escape(_kind(part, document))}"
        f"{'' if name in required else ' <span class=soft>optional</span>'}</td>"
        f"<td>{_prose(part.get('description', ''))}</td></tr>"
        for name, part in properties.items()
    )
    inner = "".join(
        f"<p class=soft><code>{escape(name)}</code></p>{table}"
        for name, part in properties.items()
        if (table := _fields(_element(part, document), document, depth + 1))
    )
    return f"<table><tr><th>field</th><th>is</th><th></th></tr>{rows}</table>{inner}"


def _path(path: str, node: Node, document: Node) -> Iterator[str]:
    yield f'<div id="{escape(_anchor(path))}">'
    for method, operation in node.items():
        who = ", ".join(scheme for entry in operation.get("security", []) for scheme in entry)
        schemes = document["components"]["securitySchemes"]
        callers = f"<p class=soft>for {escape(who)}: {_prose(schemes[who]['description'])}</p>" if who else ""
        answer = operation["responses"].get("200", {}).get("content", {}).get("application/json", {}).get("schema", {})
        fields = _fields(answer, document)
        yield (
            f'<details><summary><span class="tag {method}">{method.upper()}</span> <code>{escape(path)}</code> '
            f"{_prose(operation.get('summary', ''))}</summary><div>{callers}{_parameters(operation, document)}"
            + (f"<p>Answers:</p>{fields}" if fields else "")
            + "</div></details>"
        )
    yield "</div>"


def _parameters(operation: Node, document: Node) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(parameter['name'])}</code></td>"
        f"<td>{escape(parameter['in'])}, {escape(_kind(parameter['schema'], document))}</td>"
        f"<td>{_prose(parameter.get('description', ''))}</td></tr>"
        for parameter in operation.get("parameters", [])
    )
    return f"<table><tr><th>parameter</th><th>is</th><th></th></tr>{rows}</table>" if rows else ""


def _resolve(node: Node, document: Node) -> Node:
    while "$ref" in node:
        found: Any = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        node = found
    return node


def _merged(schema: Node, document: Node) -> Node:
    """Return a schema with its references resolved and the parts of `allOf` merged."""
    schema = _resolve(schema, document)
    parts = [_merged(part, document) for part in schema.get("allOf", [])]
    merged: Node = {"properties": {}, "required": []}
    for part in (*parts, schema):
        merged["properties"] |= part.get("properties", {})
        merged["required"] += part.get("required", [])
    return {**schema, **merged}


def _element(schema: Node, document: Node) -> Node:
    """Return the schema of an array's elements, of an optional value, or else the schema itself."""
    schema = _resolve(schema, document)
    if "items" in schema:
        return _element(schema["items"], document)
    if isinstance(schema.get("additionalProperties"), dict):
        return _element(schema["additionalProperties"], document)
    for option in schema.get("anyOf", []):
        found = _resolve(option, document)
        if "properties" in found:
            return found
    return schema


def _kind(schema: Node, document: Node) -> str:
    schema = _resolve(schema, document)
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(_kind(option, document) for option in schema["anyOf"])
    if schema.get("type") == "array":
        return f"array of {_kind(schema.get('items', {}), document)}"
    found = schema.get("type", "any")
    return " or ".join(found) if isinstance(found, list) else str(found)


def _shown(payload: Any) -> str:
    text = payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False, indent=2)
    match = re.match(r"(\d+)(?=[\[{])", text) if isinstance(payload, str) else None
    if not match:
        return text
    return match.group() + json.dumps(json.loads(text[match.end() :]), ensure_ascii=False, indent=2)


def _prose(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text, quote=False))


def _first_sentence(text: str) -> str:
    return re.split(r"(?<=[a-z`)])[.;:] ", text)[0].rstrip(".")


def _anchor(path: str) -> str:
    return re.sub(r"[^a-z]+", "-", path.lower()).strip("-")
