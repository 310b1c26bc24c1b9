"""What a function must know of the configuration: plain numbers, small enough for an environment variable.

`chaincast.toml` is read and validated once, by `chaincast.config`, when the stack is synthesized; a function gets the
result as JSON and need not import a validator.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import orjson

from chaincast.policy.premium_topics import Premium
from chaincast.policy.rate_limits import Limits

VARIABLE = "CHAINCAST_SETTINGS"
CONSOLE_ORIGIN = "CHAINCAST_CONSOLE_ORIGIN"
"""Where the stack's own console is, if it has one: known to the stack only, so no part of the settings."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The part of the configuration that functions need. Sizes in bytes."""

    networks: tuple[str, ...]
    shards: int
    max_message_bytes: int
    message_bytes: int
    topics_per_message: int
    subscriptions_per_connection: int
    app_log_partitions: int = 1
    log_seconds: int = 86_400
    auth: str = "off"
    """Whether connections are asked for a token: `off`, `optional`, `required`."""
    auth_jwks_url: str = ""
    auth_issuer: str = ""
    auth_audience: tuple[str, ...] = ()
    """Whose tokens are good: whose keys are there (else: signed with the shared secret), `iss`, `aud`."""
    auth_cookie: str = ""
    allow_query_token: bool = False
    """What may carry a token beside headers, subprotocol and messages: a cookie of that name, `?token=`."""
    auth_service: str = ""
    """The URL of a service that is asked about tokens, instead."""
    auth_grace: int = 60
    """Seconds between a token's end and the connection's."""
    premium_topics: tuple[str, ...] = ()
    premium_claim: str = ""
    premium_values: tuple[str, ...] = ()
    """Topics that need a claim (chaincast/policy/premium_topics.py)."""
    limits: Limits = field(default_factory=Limits)
    origins: tuple[str, ...] = ("*", "none")
    allow_ips: tuple[str, ...] = ()
    deny_ips: tuple[str, ...] = ()
    """Where clients may come from: chaincast/policy/origin_policy.py."""
    chains: Mapping[str, int] = field(default_factory=dict)
    """The networks' chain ids."""
    block_ms: Mapping[str, int] = field(default_factory=dict)
    """The networks' block times."""
    metrics_token: bool = False
    """Whether `/status` and `/metrics` ask for a token."""

    @property
    def premium(self) -> Premium:
        """Which topics need which claim."""
        return Premium(self.premium_topics, self.premium_claim, self.premium_values)

    @property
    def app_source_names(self) -> tuple[str, ...]:
        """Names of the sources that backends publish to."""
        return tuple(f"app-{k}" for k in range(self.app_log_partitions))

    @property
    def sources(self) -> tuple[str, ...]:
        """Every source there is: the networks, and those that backends publish to."""
        return (*self.networks, *self.app_source_names)

    def to_json(self) -> str:
        return orjson.dumps(asdict(self)).decode()

    @classmethod
    def from_json(cls, text: str) -> Settings:
        document: dict[str, Any] = orjson.loads(text)
        limits = Limits(**_with_tuples(document.pop("limits", {})))
        return cls(**_with_tuples(document), limits=limits)

    @classmethod
    def from_environment(cls) -> Settings:
        """The settings that the stack gave this function. Raises KeyError outside of one."""
        settings = cls.from_json(os.environ[VARIABLE])
        console = os.environ.get(CONSOLE_ORIGIN)
        return replace(settings, origins=(*settings.origins, console)) if console else settings


def _with_tuples(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in document.items()}
