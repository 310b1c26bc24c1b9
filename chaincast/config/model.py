"""What may stand in `chaincast.toml`. docs/configuration.md is made of the field descriptions."""

from __future__ import annotations

import re
from typing import Annotated, Literal, TypeAlias, Union

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from chaincast.settings import Settings

NETWORK_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
_ADDRESS = r"^0x[0-9a-fA-F]{40}$"
_RPC_URL = re.compile(r"(https?|wss?)://[^\s]+")


def _network_name(name: str) -> str:
    if not NETWORK_NAME.fullmatch(name) or name.startswith("app-"):
        raise ValueError(
            f"network name {name!r}: lower-case letters, digits and '-', beginning with a letter, at most 40, "
            "not beginning with 'app-'"
        )
    return name


NetworkName: TypeAlias = Annotated[str, AfterValidator(_network_name)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Contract(_Section):
    """A contract to follow, and how to read its events."""

    adapter: Literal["launchpad"] = Field(description="how events are read: `launchpad` (factory with bonding curves)")
    address: Annotated[str, Field(pattern=_ADDRESS)] = Field(description="the contract's address, 0x and 40 hex digits")

    @field_validator("address")
    @classmethod
    def _fold(cls, value: str) -> str:
        return value.lower()


class Network(_Section):
    """One chain that is listened to."""

    chain_id: Annotated[int, Field(ge=1)] = Field(description="EIP-155 chain id; a node of another chain is refused")
    rpc_url: str = Field(description="JSON-RPC endpoint: ws, wss, http or https")
    enabled: bool = Field(True, description="whether the deployed stack listens to it")
    local: bool = Field(False, description="exists only in the local stack, never in a deployed one")
    start_block: Union[Literal["latest"], Annotated[int, Field(ge=0)]] = Field(
        "latest",
        description="first block of a network that has no checkpoint yet: a number (the factory's own block, to know "
        "all its tokens) or `latest` (only tokens created from now on)",
    )
    confirmations: Annotated[int, Field(ge=0, le=1000)] = Field(0, description="blocks to wait behind the head")
    finality_depth: Annotated[int, Field(ge=1, le=1000)] = Field(
        64, description="blocks that a reorganisation may take back; a deeper one stops the listener"
    )
    block_range: Annotated[int, Field(ge=1, le=10_000)] = Field(500, description="most blocks asked for at once")
    poll_ms: Annotated[int, Field(ge=50, le=60_000)] = Field(
        1000, description="how often an HTTP endpoint is asked for its head; over WebSocket only a safety net"
    )
    contracts: tuple[Contract, ...] = Field((), description="what is followed on it")

    @field_validator("rpc_url")
    @classmethod
    def _url(cls, value: str) -> str:
        if not _RPC_URL.fullmatch(value):
            raise ValueError("an RPC URL begins with ws://, wss://, http:// or https://")
        return value


class Limits(_Section):
    """What one client may do."""

    message_bytes: Annotated[int, Field(ge=256, le=131_072)] = Field(
        32_768, description="longest message from a client; API Gateway refuses more than 131072"
    )
    topics_per_message: Annotated[int, Field(ge=1, le=1000)] = Field(50, description="topics in one subscribe")
    subscriptions_per_connection: Annotated[int, Field(ge=1, le=1000)] = Field(50, description="topics held at once")


class Fanout(_Section):
    """How events reach the connections."""

    shards: Annotated[int, Field(ge=1, le=64)] = Field(
        1, description="workers that share the connections; may be changed at any time"
    )
    delivery_bytes: Annotated[int, Field(ge=1024, le=131_072)] = Field(
        32_768, description="longest message to a client; API Gateway meters in units of 32768"
    )


class Retention(_Section):
    """How long things are kept."""

    log_hours: Annotated[int, Field(ge=1, le=24 * 30)] = Field(24, description="how far back a client may resume")
    history_days: Annotated[int, Field(ge=1, le=365)] = Field(7, description="recent trades, tokens, events")
    logs_days: Literal[1, 3, 5, 7, 14, 30, 60, 90, 180, 365] = Field(14, description="CloudWatch logs")


class Config(_Section):
    """The whole file."""

    networks: dict[NetworkName, Network] = Field(description="chains, by the name that stands in topics")
    limits: Limits = Limits()
    fanout: Fanout = Fanout()
    retention: Retention = Retention()

    def deployed_networks(self, *, local: bool) -> dict[str, Network]:
        """The networks that a stack listens to: those enabled, and local ones only in a local stack."""
        return {name: n for name, n in self.networks.items() if n.enabled and (local or not n.local)}

    def settings(self, *, local: bool) -> Settings:
        """What the functions of such a stack need of it."""
        return Settings(
            networks=tuple(self.deployed_networks(local=local)),
            shards=self.fanout.shards,
            delivery_bytes=self.fanout.delivery_bytes,
            message_bytes=self.limits.message_bytes,
            topics_per_message=self.limits.topics_per_message,
            subscriptions_per_connection=self.limits.subscriptions_per_connection,
        )
