from __future__ import annotations

import pytest

from chaincast.errors import Code, RequestError
from chaincast.policy.origin_policy import Access

HERE = "203.0.113.9"


def refused(access: Access, origin: str, address: str = HERE) -> Code | None:
    try:
        access.check(origin, address)
    except RequestError as error:
        return error.code
    return None


@pytest.mark.parametrize(
    ("origins", "origin", "welcome"),
    [
        (["*", "none"], "https://anything.example", True),
        (["*", "none"], "", True),
        (["*"], "", False),
        (["https://app.example"], "https://app.example", True),
        (["https://app.example"], "http://app.example", False),
        (["https://app.example"], "https://app.example:8443", False),
        (["https://app.example"], "https://app.example.evil.example", False),
        (["https://app.example"], "", False),
        (["https://app.example"], "null", False),
        (["https://*.app.example"], "https://a.app.example", True),
        (["https://*.app.example"], "https://a.b.app.example", True),
        (["https://*.app.example"], "https://app.example", False),
        (["https://*.app.example"], "https://.app.example", False),
        (["https://*.app.example"], "https://evilapp.example", False),
        (["https://*.app.example"], "https://evil.example/.app.example", False),
        (["https://*.app.example"], "https://a.appxexample", False),
        (["https://*.app.example"], "http://a.app.example", False),
        (["https://*.app.example:8443"], "https://a.app.example:8443", True),
        (["https://a.example", "none"], "", True),
        ([], "https://a.example", False),
    ],
)
def test_origins(origins: list[str], origin: str, welcome: bool) -> None:
    assert refused(Access(origins, [], []), origin) == (None if welcome else Code.FORBIDDEN_ORIGIN)


@pytest.mark.parametrize(
    ("allow", "deny", "address", "allowed"),
    [
        ([], [], "not an address", True),
        ([], ["203.0.113.0/24"], HERE, False),
        ([], ["203.0.113.0/24"], "203.0.112.9", True),
        ([], ["203.0.113.0/24"], "not an address", False),
        (["203.0.113.0/24"], [], HERE, True),
        (["203.0.113.0/24"], [], "198.51.100.1", False),
        (["203.0.113.0/24"], ["203.0.113.9/32"], HERE, False),
        (["203.0.113.7"], [], "203.0.113.7", True),
        ([], ["203.0.113.0/24"], "::ffff:203.0.113.9", False),
        (["2001:db8::/32"], [], "2001:db8::1", True),
        (["2001:db8::/32"], [], HERE, False),
    ],
)
def test_addresses(allow: list[str], deny: list[str], address: str, allowed: bool) -> None:
    assert refused(Access(["none"], allow, deny), "", address) == (None if allowed else Code.FORBIDDEN_ADDRESS)


def test_a_refusal_says_what_was_wrong() -> None:
    with pytest.raises(RequestError, match=r"origin 'https://evil\.example'"):
        Access(["https://app.example"], [], []).check("https://evil.example", HERE)
    with pytest.raises(RequestError, match="origin missing"):
        Access(["https://app.example"], [], []).check("", HERE)
    with pytest.raises(RequestError, match=r"203\.0\.113\.9"):
        Access(["none"], [], ["203.0.113.9"]).check("", HERE)
