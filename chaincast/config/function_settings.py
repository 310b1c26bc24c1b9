"""The settings of Lambda functions: the part of the configuration that fits in an environment variable.

`chaincast.toml` is read and validated once, when the stack is synthesized. A function receives the result as JSON and
therefore does not import pydantic, which would slow down its cold start.
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
"""Environment variable with the origin of the stack's live console, which only the deployed stack knows."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The part of the configuration that functions need. Sizes are in bytes."""

    networks: tuple[str, ...]
    shards: int
    max_message_bytes: int
    message_bytes: int
    topics_per_message: int
    subscriptions_per_connection: int
    app_log_partitions: int = 1
    log_seconds: int = 86_400
    auth: str = "off"
    """`off`, `optional` or `required`."""
    auth_jwks_url: str = ""
    auth_issuer: str = ""
    auth_audience: tuple[str, ...] = ()
    """Accepted audiences (`aud`). Without `auth_jwks_url`, tokens are signed with the shared secret."""
    auth_cookie: str = ""
    allow_query_token: bool = False
    """True if the query parameter `token` may carry a token, as headers, the subprotocol and messages do."""
    auth_service: str = ""
    """URL of a service that verifies tokens; empty if functions verify them with keys or the secret."""
    auth_grace: int = 60
    """Seconds between the expiry of a token and the end of its connection."""
    premium_topics: tuple[str, ...] = ()
    premium_claim: str = ""
    premium_values: tuple[str, ...] = ()
    """Premium topics, the claim that they need, and its accepted values (chaincast/policy/premium_topics.py)."""
    limits: Limits = field(default_factory=Limits)
    origins: tuple[str, ...] = ("*", "none")
    allow_ips: tuple[str, ...] = ()
    deny_ips: tuple[str, ...] = ()
    """Origins and networks from which clients may connect (chaincast/policy/origin_policy.py)."""
    chains: Mapping[str, int] = field(default_factory=dict)
    """Network → EIP-155 chain id."""
    block_ms: Mapping[str, int] = field(default_factory=dict)
    """Network → block time in milliseconds."""
    metrics_token: bool = False
    """True if `/status` and `/metrics` require a token."""

    @property
    def premium(self) -> Premium:
        """Return the rule for premium topics."""
        return Premium(self.premium_topics, self.premium_claim, self.premium_values)

    @property
    def app_source_names(self) -> tuple[str, ...]:
        """Return the names of the sources that backends publish to."""
        return tuple(f"app-{k}" for k in range(self.app_log_partitions))

    @property
    def sources(self) -> tuple[str, ...]:
        """Return the names of all sources: the networks, and the sources that backends publish to."""
        return (*self.networks, *self.app_source_names)

    def to_json(self) -> str:
        """Return the settings as JSON, for the environment variable."""
        return orjson.dumps(asdict(self)).decode()

    @classmethod
    def from_json(cls, text: str) -> Settings:
        """Return the settings that `to_json` wrote."""
        document: dict[str, Any] = orjson.loads(text)
        limits = Limits(**_with_tuples(document.pop("limits", {})))
        return cls(**_with_tuples(document), limits=limits)

    @classmethod
    def from_environment(cls) -> Settings:
        """Return the settings of this Lambda function. Raise KeyError if the environment has none."""
        settings = cls.from_json(os.environ[VARIABLE])
        console = os.environ.get(CONSOLE_ORIGIN)
        return replace(settings, origins=(*settings.origins, console)) if console else settings


def _with_tuples(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in document.items()}
