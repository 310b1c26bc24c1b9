"""`[access]`: where clients may come from."""

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
            "an origin is scheme://host[:port] in lower case, without a path; scheme://*.host; '*'; 'none'"
        )
    return value


def _network(value: str) -> str:
    ip_network(value, strict=False)
    return value


Origin: TypeAlias = Annotated[str, AfterValidator(_origin)]
Cidr: TypeAlias = Annotated[str, AfterValidator(_network)]


class Access(Section):
    """Who is let in at all."""

    origins: tuple[Origin, ...] = Field(
        ("*", "none"),
        description="pages that may connect: `https://app.example`, `https://*.app.example` (any subdomain), `*` (any "
        "page), `none` (clients that are no page: they send no origin)",
    )
    allow_ips: tuple[Cidr, ...] = Field((), description="networks (CIDR) that may connect; if none are named, all may")
    deny_ips: tuple[Cidr, ...] = Field((), description="networks (CIDR) that may not")
