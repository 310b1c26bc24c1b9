"""Inputs of the stack: the validated configuration, and the context values of `cdk -c`.

infra does not import the core; it runs `python -m chaincast.config`, which prints the configuration as JSON.
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
    cloudwatch_log_days: int


class NetworkSettings(TypedDict):
    rpc_secret: str
    url_variable: str
    cpu: int
    memory: int


class AuthSettings(TypedDict):
    mode: str
    secret: str
    jwks_url: str
    service_url: str


class CallersSettings(TypedDict):
    """Authorization of a route of the HTTP API."""

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


class ArchiveSettings(TypedDict):
    enabled: bool
    retention_days: int


class ConsoleSettings(TypedDict):
    enabled: bool


class FanoutSettings(TypedDict):
    reserved_concurrency: int


class AccessSettings(TypedDict):
    requests_per_second: int


class Configuration(TypedDict):
    """The part of the output of `python -m chaincast.config` that the stack depends on."""

    networks: dict[str, NetworkSettings]
    fanout: FanoutSettings
    access: AccessSettings
    retention: RetentionSettings
    auth: AuthSettings
    publish: PublishSettings
    admin: CallersSettings
    kafka: KafkaSettings
    archive: ArchiveSettings
    monitoring: MonitoringSettings
    console: ConsoleSettings
    settings: str


class InvalidConfiguration(SystemExit):
    """The configuration or a context value is not valid. The message says what is wrong."""


@dataclass(frozen=True, slots=True)
class Switches:
    """Options of one synthesis.

    `local`: True for the local stack, which has assets for this machine's platform, no container services, and retains
    no data. `python`: Python version of the functions, e.g. "3.13". `management_endpoint`: template of the management
    endpoint with the fields {api} and {stage}; None for the endpoint on AWS. `stage`: name of the stage. Each stage is
    a separate stack, configured by `chaincast.{stage}.toml` if that file exists. The data of `prod` outlives its stack.
    """

    config: Path
    local: bool
    python: str
    management_endpoint: str | None
    stage: str = PRODUCTION

    @property
    def stack(self) -> str:
        """The name of the CloudFormation stack."""
        return STACK if self.stage == PRODUCTION else f"{STACK}-{self.stage}"

    @property
    def retains_data(self) -> bool:
        """True if tables and archive outlive the stack."""
        return self.stage == PRODUCTION and not self.local

    @classmethod
    def from_context(cls, node: Node) -> Switches:
        """Read the context values of `cdk -c`. Raises `InvalidConfiguration`."""

        def text(name: str) -> str | None:
            value = node.try_get_context(name)
            return None if value is None else str(value)

        stage = text("stage") or PRODUCTION
        if not re.fullmatch(r"[a-z][a-z0-9]{0,19}", stage):
            raise InvalidConfiguration(
                f"chaincast: stage {stage!r}: a stage is 1 to 20 lower-case letters and digits; choose e.g. dev"
            )
        stage_config = ROOT / f"chaincast.{stage}.toml"
        return cls(
            stage=stage,
            config=ROOT / (text("config") or (stage_config.name if stage_config.exists() else "chaincast.toml")),
            local=text("local") == "true",
            python=text("python") or "3.13",
            management_endpoint=text("management_endpoint"),
        )


def read_configuration(switches: Switches) -> Configuration:
    """Return the validated configuration. Raises `InvalidConfiguration` with the validator's messages."""
    command = [sys.executable, "-m", "chaincast.config", str(switches.config)]
    if switches.local:
        command.append("--local")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InvalidConfiguration(f"chaincast: the configuration is not valid\n{done.stderr.strip()}")
    return cast(Configuration, json.loads(done.stdout))
