from __future__ import annotations

import pytest

from chaincast.errors import Code, ProtocolViolation
from chaincast.policy.rate_limits import (
    HOUR_MS,
    MINUTE_MS,
    AbuseAction,
    Limits,
    MessageCounts,
    RateDecision,
    check_message_rate,
    owner_of_address,
    too_many_subscribes,
)

NOW = 1_700_000_000_000 - 1_700_000_000_000 % HOUR_MS
LIMITS = Limits(messages_per_minute=100, messages_per_user=500)


@pytest.mark.parametrize(
    ("address", "owner"),
    [
        ("203.0.113.9", "ip/203.0.113.9"),
        ("::ffff:203.0.113.9", "ip/203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "ip/2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "ip/2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "ip/2001:db8:1:3::/64"),
        ("no address", "ip/no address"),
        ("192.0.2.77", ""),
        ("::ffff:192.0.2.77", ""),
        ("2001:db8:ffff::1", ""),
    ],
)
def test_the_owner_of_an_address(address: str, owner: str) -> None:
    assert owner_of_address(address, ("192.0.2.0/24", "2001:db8:ffff::/48")) == owner


@pytest.mark.parametrize(
    ("counts", "refused", "closes"),
    [
        (MessageCounts(1), False, False),
        (MessageCounts(100), False, False),
        (MessageCounts(101), True, False),
        (MessageCounts(200), True, False),
        (MessageCounts(201), True, True),
        (MessageCounts(10, 500), False, False),
        (MessageCounts(10, 501), True, False),
        (MessageCounts(10, 1001), True, True),
        (MessageCounts(101, 1001), True, True),
        (MessageCounts(150, 600), True, False),
    ],
)
def test_messages_beyond_the_limit_are_refused_and_far_beyond_it_violations(
    counts: MessageCounts, refused: bool, closes: bool
) -> None:
    error = check_message_rate(counts, LIMITS, NOW + 17_500).refusal
    assert (error is not None) == refused
    assert isinstance(error, ProtocolViolation) == closes
    if error is not None:
        assert error.code is Code.RATE_LIMITED
        assert error.details == {"retry_after": 43}, "until the minute is over"
        assert "100" in error.message or "500" in error.message


def test_a_limit_of_zero_means_no_limit() -> None:
    assert check_message_rate(MessageCounts(10**6, 10**6), Limits(), NOW) == RateDecision()
    assert too_many_subscribes(10**6, 0, NOW) is None


def abuse_action(count: int, limits: Limits = LIMITS) -> AbuseAction | None:
    return check_message_rate(MessageCounts(count), limits, NOW).abuse


def test_abuse_is_banned_once_and_disconnected_again_at_intervals() -> None:
    actions = {n: abuse_action(n) for n in range(1, 1000)}
    assert [n for n in actions if actions[n] is AbuseAction.DISCONNECT_AND_BAN] == [201]
    assert [n for n in actions if actions[n] is AbuseAction.DISCONNECT_AGAIN] == [301, 401, 501, 601, 701, 801, 901]
    assert [n for n in actions if actions[n] is None] == [*range(1, 201)]
    by_user = {n: check_message_rate(MessageCounts(1, n), LIMITS, NOW).abuse for n in range(1, 3000)}
    assert [n for n in by_user if by_user[n] is AbuseAction.DISCONNECT_AND_BAN] == [1001]
    one = Limits(messages_per_minute=1)
    expected = [None, None, AbuseAction.DISCONNECT_AND_BAN, AbuseAction.DISCONNECT_AGAIN]
    assert [abuse_action(n, one) for n in (1, 2, 3, 4)] == expected


def test_subscribes_are_counted_by_the_hour() -> None:
    assert too_many_subscribes(20, 20, NOW) is None
    error = too_many_subscribes(21, 20, NOW + HOUR_MS - MINUTE_MS)
    assert error is not None
    assert (error.code, error.details) == (Code.RATE_LIMITED, {"retry_after": 60})


def test_addresses_are_counted_if_a_limit_needs_it() -> None:
    assert not Limits(messages_per_minute=1).counts_addresses
    for limits in (Limits(connections_per_minute=1), Limits(connections_per_ip=1), Limits(ban_seconds=1)):
        assert limits.counts_addresses
