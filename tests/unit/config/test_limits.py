"""`[limits]`: every one can be taken off, and what then remains is AWS's own."""

from __future__ import annotations

import pytest

from chaincast.config.function_settings import Settings
from chaincast.config.limits import Limits
from chaincast.config.load import parse
from chaincast.errors import ConfigError
from chaincast.policy.rate_limits import Limits as Counted

NETWORK = '[networks.base]\nrpc_url = "wss://node.example"\n'


def settings(limits: str = "") -> Settings:
    return parse(f"{NETWORK}[limits]\n{limits}").settings(local=False)


def test_without_a_word_there_are_the_limits_that_the_docs_tell() -> None:
    found = settings()
    assert (found.message_bytes, found.topics_per_message, found.subscriptions_per_connection) == (32_768, 50, 50)
    assert found.limits == Counted(10, 100, 100, 100, 500, 20, 60)


def test_each_is_off_with_nought() -> None:
    names = [name for name in Limits.model_fields if name != "exempt_ips"]
    found = settings("\n".join(f"{name} = 0" for name in names))
    assert found.limits == Counted()
    assert (found.message_bytes, found.topics_per_message, found.subscriptions_per_connection) == (
        32_768,
        1_000,
        1_000,
    )


def test_they_come_through_the_environment_of_a_function() -> None:
    found = settings('exempt_ips = ["192.0.2.0/24"]\nmessages_per_minute = 7')
    assert Settings.from_json(found.to_json()) == found


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("message_bytes = 255", "at least 256"),
        ("message_bytes = 32769", "32768"),
        ("subscriptions_per_connection = 1001", "1000"),
        ("messages_per_minute = -1", "0"),
        ("connections_per_ip = 2001", "2000"),
        ('exempt_ips = ["192.0.2.0/33"]', "192.0.2.0/33"),
    ],
)
def test_what_cannot_be_is_refused(line: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words.replace(".", r"\.")) as caught:
        settings(line)
    assert line.partition(" ")[0] in str(caught.value)
