"""`[access]`: the origins and networks from which clients may connect."""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, Field

from chaincast.config.section import Section

_ORIGIN = re.compile(r"https?://(\*\.)?[a-z0-9.-]+(:\d{1,5})?|\*|none")


def _origin(value: str) -> str:
    if not _ORIGIN.fullmatch(value):
        raise ValueError(
            "not an origin: write scheme://host[:port] in lower case and without a path, scheme://*.host, '*' or 'none'"
        )
    return value


def _network(value: str) -> str:
    ip_network(value, strict=False)
    return value


Origin: TypeAlias = Annotated[str, AfterValidator(_origin)]
Cidr: TypeAlias = Annotated[str, AfterValidator(_network)]


class Access(Section):
    """The clients that may connect."""

    origins: tuple[Origin, ...] = Field(
        ("*", "none"),
        description="origins of pages that may connect: `https://app.example`, `https://*.app.example` (any "
        "subdomain), `*` (any page), `none` (clients other than browsers, which send no origin)",
    )
    allow_ips: tuple[Cidr, ...] = Field((), description="networks (CIDR) that may connect; an empty list allows all")
    deny_ips: tuple[Cidr, ...] = Field((), description="networks (CIDR) that may not connect")
    requests_per_second: Annotated[int, Field(ge=1, le=100_000)] = Field(
        5_000,
        description="requests of all clients per second on one route (new connections, or one type of message); API "
        "Gateway refuses more, so that they cannot take the Lambda executions that fan-out needs",
    )
