"""Where clients may come from: pages by their origin, machines by their address.

A browser sends the origin of the page that opens a WebSocket (RFC 6455, 10.2), and no page can forge it: whoever is not
let in cannot use a visitor's cookies or address to connect (cross-site WebSocket hijacking).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from chaincast.errors import ClientError, Code

ANY = "*"
NONE = "none"
"""Of clients that send no origin: anything but a browser's page."""


class Access:
    """One deployment's rules. `origins`: exact ones, `scheme://*.host` for any subdomain, `*`, `none`. `allow` (where
    there is any, nobody else) and `deny`: networks in CIDR notation."""

    def __init__(self, origins: Sequence[str], allow: Sequence[str], deny: Sequence[str]) -> None:
        self._any = ANY in origins
        self._none = NONE in origins
        self._exact = frozenset(origins)
        self._within = [_subdomains(origin) for origin in origins if "://*." in origin]
        self._allow = [ip_network(network, strict=False) for network in allow]
        self._deny = [ip_network(network, strict=False) for network in deny]

    def check(self, origin: str, address: str) -> None:
        """Whether a client may connect; `origin` is empty where none was sent. Raises `ClientError`:
        FORBIDDEN_ORIGIN, FORBIDDEN_ADDRESS."""
        if not self._is_welcome(origin):
            shown = repr(origin[:80]) if origin else "missing"
            raise ClientError(Code.FORBIDDEN_ORIGIN, f"origin {shown}: connections from there are not allowed")
        if (self._allow or self._deny) and not self._is_allowed(address_of(address)):
            raise ClientError(Code.FORBIDDEN_ADDRESS, f"address {address[:45]!r}: connections are not allowed")

    def _is_welcome(self, origin: str) -> bool:
        if not origin:
            return self._none
        return self._any or origin in self._exact or any(pattern.fullmatch(origin) for pattern in self._within)

    def _is_allowed(self, address: IPv4Address | IPv6Address | None) -> bool:
        if address is None or any(address in network for network in self._deny):
            return False
        return not self._allow or any(address in network for network in self._allow)


def _subdomains(origin: str) -> re.Pattern[str]:
    scheme, _, host = origin.partition("://*.")
    return re.compile(rf"{re.escape(scheme)}://[a-z0-9.-]+\.{re.escape(host)}")


def address_of(text: str) -> IPv4Address | IPv6Address | None:
    """An address, one of IPv4 as such however it is written; None for what is none."""
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found
