"""The HTTP API as an OpenAPI 3.1 document, generated from the routes that its functions declare."""

from __future__ import annotations

import json
import os
from importlib import import_module
from typing import Any, TypeAlias

from chaincast.aws import environment
from chaincast.config.function_settings import VARIABLE
from chaincast.version import VERSION

Node: TypeAlias = dict[str, Any]  # a part of the document

FUNCTIONS = ("http", "ticket", "admin", "status")

SECURITY: dict[str, tuple[str, ...]] = {
    "/publish": ("callers",),
    "/connections": ("callers",),
    "/connections/{id}": ("callers",),
    "/users/{user}/connections": ("callers",),
    "/ticket": ("users",),
    "/metrics": ("metrics",),
    "/status": ("metrics",),
}
SCHEMES: Node = {
    "callers": {
        "type": "http",
        "scheme": "bearer",
        "description": "by `[publish]` and `[admin]` of the configuration: a request signed by credentials that may "
        'execute-api:Invoke (auth = "iam"), or a bearer token with the scope (auth = "jwt")',
    },
    "users": {"type": "http", "scheme": "bearer", "description": "a client's token (docs/security.md)"},
    "metrics": {"type": "http", "scheme": "bearer", "description": "the stack's secret `MetricsToken`"},
}


def openapi(settings: str) -> Node:
    """Return the document. `settings`: the functions' settings (chaincast/config/function_settings.py) as JSON."""
    _pretend(settings)
    document: Node = {
        "openapi": "3.1.0",
        "info": {
            "title": "Chaincast",
            "version": VERSION,
            "description": "What backends, pages, administrators and monitors call: the stack's output `HttpUrl`.",
        },
        "servers": [{"url": "/"}],
        "paths": {},
        "components": {"schemas": {}, "securitySchemes": SCHEMES},
    }
    for name in FUNCTIONS:
        function = import_module(f"functions.{name}")
        found: Node = json.loads(function.app.get_openapi_json_schema())
        document["paths"] |= {path.replace("<", "{").replace(">", "}"): node for path, node in found["paths"].items()}
        document["components"]["schemas"] |= found.get("components", {}).get("schemas", {})
    document["paths"] = dict(sorted(document["paths"].items()))
    for path, node in document["paths"].items():
        for operation in node.values():
            if path in SECURITY:
                operation["security"] = [{scheme: []} for scheme in SECURITY[path]]
    return document


def _pretend(settings: str) -> None:
    """Set the environment that importing a function's module needs. Nothing calls AWS."""
    for name, variable in vars(environment).items():
        if name.isupper():
            os.environ.setdefault(variable, "https://example.invalid/prod")
    os.environ[VARIABLE] = settings
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    os.environ.setdefault("AWS_REGION", "us-east-1")
    os.environ.setdefault("POWERTOOLS_METRICS_NAMESPACE", "Chaincast")
