"""Origins and IP addresses from which clients may connect.

A browser sends the origin of the page that opens a WebSocket (RFC 6455, 10.2), and the page cannot forge it. A page
that is refused therefore cannot connect with a visitor's cookies or address (cross-site WebSocket hijacking).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from chaincast.errors import Code, RequestError

ANY = "*"
NONE = "none"
"""Entry of `origins` for clients that send no origin, which are not browsers."""


class Access:
    """The rules of a deployment.

    `origins`: exact origins, `scheme://*.host` for any subdomain, `*` for any page, `none` for clients without origin.
    `allow`, `deny`: networks in CIDR notation. If `allow` is not empty, addresses outside of it are refused.
    """

    def __init__(self, origins: Sequence[str], allow: Sequence[str], deny: Sequence[str]) -> None:
        self._any = ANY in origins
        self._none = NONE in origins
        self._exact = frozenset(origins)
        self._within = [_subdomains(origin) for origin in origins if "://*." in origin]
        self._allow = [ip_network(network, strict=False) for network in allow]
        self._deny = [ip_network(network, strict=False) for network in deny]

    def check(self, origin: str, address: str) -> None:
        """Raise `RequestError` (FORBIDDEN_ORIGIN or FORBIDDEN_ADDRESS) if a client may not connect.

        `origin` is empty if the client sent none.
        """
        if not self._is_welcome(origin):
            shown = repr(origin[:80]) if origin else "missing"
            raise RequestError(Code.FORBIDDEN_ORIGIN, f"origin {shown}: not allowed to connect; see access.origins")
        if (self._allow or self._deny) and not self._is_allowed(address_of(address)):
            raise RequestError(Code.FORBIDDEN_ADDRESS, f"address {address[:45]!r}: not allowed to connect")

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
    """Return the IP address in a text, or None. An IPv4 address in IPv6 notation is returned as IPv4."""
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found
