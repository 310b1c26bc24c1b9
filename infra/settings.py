"""What the stack is made from: the validated configuration and the switches of `cdk -c`.

infra imports nothing of the core, so it asks `python -m chaincast.config` for the configuration, as JSON.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, cast

if TYPE_CHECKING:
    from constructs import Node


ROOT = Path(__file__).resolve().parent.parent
STACK = "Chaincast"
PRODUCTION = "prod"


class RetentionSettings(TypedDict):
    log_hours: int
    history_days: int
    logs_days: int


class NetworkSettings(TypedDict):
    rpc_secret: str
    url_variable: str


class AuthSettings(TypedDict):
    mode: str
    secret: str
    jwks_url: str
    service_url: str


class CallersSettings(TypedDict):
    """Who may call a route of the HTTP API."""

    auth: str
    issuer: str
    audience: list[str]
    scope: str


class PublishSettings(CallersSettings):
    kinds: dict[str, object]


class KafkaSettings(TypedDict):
    bootstrap_servers: list[str]
    cluster_arn: str
    secret: str
    authentication: str
    topics: list[str]
    consumer_group: str
    batch_size: int


class MonitoringSettings(TypedDict):
    auth: str
    emails: list[str]
    tracing: bool


class AuditSettings(TypedDict):
    enabled: bool
    keep_days: int


class ConsoleSettings(TypedDict):
    enabled: bool


class Configuration(TypedDict):
    """The part of `python -m chaincast.config`'s output that the stack depends on."""

    networks: dict[str, NetworkSettings]
    retention: RetentionSettings
    auth: AuthSettings
    publish: PublishSettings
    admin: CallersSettings
    kafka: KafkaSettings
    audit: AuditSettings
    monitoring: MonitoringSettings
    console: ConsoleSettings
    settings: str


class ConfigurationRefused(SystemExit):
    """`chaincast.toml` is not valid; what is wrong was printed."""


@dataclass(frozen=True, slots=True)
class Switches:
    """How this synthesis differs from a plain production one.

    `local`: for the local stack: assets for this machine's platform, no container service, nothing retained.
    `python`: Python version of the functions' assets. `management_endpoint`: the API's management endpoint where it is
    not AWS's own, with {api} and {stage} to be filled in. `stage`: each is a stack of its own, with the configuration
    `chaincast.{stage}.toml` where there is one; what `prod` stores outlives it.
    """

    config: Path
    local: bool
    python: str
    management_endpoint: str | None
    stage: str = PRODUCTION

    @property
    def stack(self) -> str:
        """What CloudFormation calls the stack."""
        return STACK if self.stage == PRODUCTION else f"{STACK}-{self.stage}"

    @property
    def kept(self) -> bool:
        """Whether what is stored stays when the stack goes."""
        return self.stage == PRODUCTION and not self.local

    @classmethod
    def of(cls, node: Node) -> Switches:
        def text(name: str) -> str | None:
            value = node.try_get_context(name)
            return None if value is None else str(value)

        stage = text("stage") or PRODUCTION
        if not re.fullmatch(r"[a-z][a-z0-9]{0,19}", stage):
            raise ConfigurationRefused(f"chaincast: stage {stage!r} is not a word of letters and digits, e.g. dev")
        own = ROOT / f"chaincast.{stage}.toml"
        return cls(
            stage=stage,
            config=ROOT / (text("config") or (own.name if own.exists() else "chaincast.toml")),
            local=text("local") == "true",
            python=text("python") or "3.13",
            management_endpoint=text("management_endpoint"),
        )


def read_configuration(switches: Switches) -> Configuration:
    """The validated configuration. Ends the synthesis with the validator's words where it is refused."""
    command = [sys.executable, "-m", "chaincast.config", str(switches.config)]
    if switches.local:
        command.append("--local")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ConfigurationRefused(f"chaincast: the configuration is refused\n{done.stderr.strip()}")
    return cast(Configuration, json.loads(done.stdout))
