"""The model of `chaincast.toml`. docs/configuration.md is generated from the field descriptions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from chaincast.config.access import Access
from chaincast.config.auth import Auth
from chaincast.config.function_settings import Settings
from chaincast.config.limits import Limits
from chaincast.config.monitoring import Console, Monitoring
from chaincast.config.network import Network, NetworkName
from chaincast.config.presets import PRESETS
from chaincast.config.publish import Admin, Archive, Kafka, Publish
from chaincast.config.section import Section
from chaincast.config.topics import Topics


class Fanout(Section):
    """Settings of fan-out."""

    shards: Annotated[int, Field(ge=1, le=64)] = Field(
        1, description="number of shards that divide the connections among them; may be changed at any time"
    )
    max_message_bytes: Annotated[int, Field(ge=1024, le=131_072)] = Field(
        32_768, description="bytes of a message to a client; API Gateway charges per 32768 bytes"
    )
    reserved_concurrency: Annotated[int, Field(ge=0, le=1_000)] = Field(
        0,
        description="concurrent Lambda executions that are reserved for fan-out: at least networks times shards; AWS "
        "requires that 100 remain for the account's other functions; 0: none",
    )


class Retention(Section):
    """How long data is kept."""

    log_hours: Annotated[int, Field(ge=1, le=24 * 30)] = Field(
        24, description="hours that batches stay in the event log, and therefore how far back a client may resume"
    )
    history_days: Annotated[int, Field(ge=1, le=365)] = Field(
        7, description="days that events stay in the history, which snapshots of recent events read"
    )
    history_days_by_kind: dict[str, Annotated[int, Field(ge=1, le=365)]] = Field(
        default_factory=dict, description="`history_days` of single kinds, for example `{ price = 1, alert = 30 }`"
    )
    cloudwatch_log_days: Literal[1, 3, 5, 7, 14, 30, 60, 90, 180, 365] = Field(
        14, description="days that CloudWatch keeps logs"
    )


class Config(Section):
    """The whole file."""

    networks: dict[NetworkName, Network] = Field(description="networks by name; topics contain these names")
    limits: Limits = Limits()
    fanout: Fanout = Fanout()
    retention: Retention = Retention()
    access: Access = Access()
    auth: Auth = Auth()
    topics: Topics = Topics()
    publish: Publish = Publish()
    admin: Admin = Admin()
    kafka: Kafka = Kafka()
    archive: Archive = Archive()
    monitoring: Monitoring = Monitoring()
    console: Console = Console()

    @field_validator("networks", mode="before")
    @classmethod
    def _preset(cls, networks: object) -> object:
        """Complete the table of a network that has the name of a preset."""
        if not isinstance(networks, Mapping):
            return networks
        return {
            name: {**PRESETS.get(name, {}), **table} if isinstance(table, Mapping) else table
            for name, table in networks.items()
        }

    @model_validator(mode="after")
    def _check(self) -> Config:
        if self.auth.cookie and "*" in self.access.origins:
            # A browser sends a visitor's cookies for every page that connects (cross-site WebSocket hijacking).
            raise ValueError("auth.cookie requires that access.origins lists the pages that may connect, without '*'")
        if self.topics.premium.topics and self.auth.mode == "off":
            raise ValueError("topics.premium requires auth.mode 'optional' or 'required': claims come from tokens")
        return self

    def deployed_networks(self, *, local: bool) -> dict[str, Network]:
        """Return the networks that a stack follows: those enabled, and local ones only in a local stack."""
        return {name: n for name, n in self.networks.items() if n.enabled and (local or not n.local)}

    def settings(self, *, local: bool) -> Settings:
        """Return the settings of a stack's functions."""
        message_bytes, topics_per_message, subscriptions = self.limits.sizes
        return Settings(
            networks=tuple(self.deployed_networks(local=local)),
            shards=self.fanout.shards,
            max_message_bytes=self.fanout.max_message_bytes,
            message_bytes=message_bytes,
            topics_per_message=topics_per_message,
            subscriptions_per_connection=subscriptions,
            app_log_partitions=self.publish.log_partitions,
            auth=self.auth.mode,
            auth_jwks_url=self.auth.jwks_url,
            auth_issuer=self.auth.issuer,
            auth_audience=self.auth.audience,
            auth_cookie=self.auth.cookie,
            allow_query_token=self.auth.allow_query_token,
            auth_service=f"{self.auth.service_url.rstrip('/')}{self.auth.verify_path}" if self.auth.service_url else "",
            auth_grace=self.auth.grace_seconds,
            premium_topics=self.topics.premium.topics,
            premium_claim=self.topics.premium.claim,
            premium_values=self.topics.premium.values,
            limits=self.limits.rate_limits(),
            origins=self.access.origins,
            allow_ips=self.access.allow_ips,
            deny_ips=self.access.deny_ips,
            log_seconds=self.retention.log_hours * 3600,
            block_ms={name: network.block_ms for name, network in self.deployed_networks(local=local).items()},
            metrics_token=self.monitoring.auth == "token",
            chains={name: network.chain_id for name, network in self.deployed_networks(local=local).items()},
        )
