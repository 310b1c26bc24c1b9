"""`[publish]`, `[admin]`, `[kafka]` and `[archive]`: events that backends publish, and who may do so."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from chaincast.config.section import FOLDER, Section


def _https(value: str) -> str:
    if value and not value.startswith("https://"):
        raise ValueError("not an issuer: it is an https:// URL")
    return value


_CLUSTER_ARN = re.compile(r"arn:aws[a-z-]*:kafka:[a-z0-9-]+:\d{12}:cluster/[A-Za-z0-9-]{1,64}/[a-f0-9-]+(-s?\d+)?")


class Callers(Section):
    """The callers of a route of the HTTP API, which API Gateway authenticates."""

    auth: Literal["iam", "jwt", "off"] = Field(
        "iam",
        description="authentication: `iam` (requests signed with AWS credentials that may `execute-api:Invoke`), `jwt` "
        "(a bearer token of `issuer`, for `audience`, with `scope`), `off` (the route does not exist)",
    )
    issuer: Annotated[str, AfterValidator(_https)] = Field("", description="with `jwt`: issuer of tokens (`iss`)")
    audience: tuple[str, ...] = Field((), description="with `jwt`: accepted audiences (`aud` or `client_id`)")

    @model_validator(mode="after")
    def _check_issuer(self) -> Callers:
        if self.auth == "jwt" and not (self.issuer and self.audience):
            raise ValueError("auth 'jwt' requires issuer and audience")
        return self


class Publish(Callers):
    """`POST /publish`."""

    scope: str = Field("chaincast/publish", description="with `jwt`: required scope (`scope` or `scp`)")
    log_partitions: Annotated[int, Field(ge=1, le=16)] = Field(
        1,
        description="number of event logs that published events are divided among, by symbol or user; more allow more "
        "concurrent publishers",
    )
    kinds: dict[str, Any] = Field(
        default_factory=dict,
        description="the team's own kinds of event: name → JSON Schema of the data, as a table or as a file relative "
        "to `chaincast.toml`",
    )

    @field_validator("kinds")
    @classmethod
    def _schemas(cls, kinds: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        # Imports jsonschema, which configurations without own kinds do not need.
        from chaincast.model.schemas import BUILT_IN, BadSchema, compiled

        found = {}
        for kind, given in kinds.items():
            if not re.fullmatch(r"[a-z][a-z0-9_.]{0,63}", kind) or kind in BUILT_IN:
                known = ", ".join(BUILT_IN)
                raise ValueError(f"kind {kind!r}: use lower-case letters, digits, '_' and '.', and none of {known}")
            found[kind] = _schema(kind, given, Path((info.context or {}).get(FOLDER, ".")))
            try:
                compiled(kind, found[kind])
            except BadSchema as error:
                raise ValueError(str(error)) from None
        return found


class Admin(Callers):
    """`DELETE /connections/{id}` and `DELETE /users/{user}/connections`, which close connections."""

    scope: str = Field("chaincast/admin", description="with `jwt`: required scope (`scope` or `scp`)")


def _schema(kind: str, given: object, folder: Path) -> object:
    if not isinstance(given, str):
        return given
    try:
        return json.loads((folder / given).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"kind {kind!r}: {folder / given} cannot be read as JSON: {error}") from None


class Kafka(Section):
    """Kafka topics whose messages are published. Without brokers and cluster, nothing is read."""

    bootstrap_servers: tuple[str, ...] = Field((), description="brokers of a self-managed cluster, `host:port`")
    cluster_arn: str = Field("", description="instead: ARN of an MSK cluster, which is read with IAM authentication")
    secret: str = Field("", description="with `bootstrap_servers`: name of a secret with `username` and `password`")
    authentication: Literal["scram-512", "scram-256", "plain"] = Field(
        "scram-512", description="with `bootstrap_servers`: SASL mechanism"
    )
    topics: tuple[str, ...] = Field(
        ("price.updates", "order.book.updates", "trade.notifications", "portfolio.updates", "system.alerts"),
        description="Kafka topics to read",
    )
    consumer_group: str = Field("chaincast", description="prefix of the consumer groups, one for each Kafka topic")
    batch_size: Annotated[int, Field(ge=1, le=10_000)] = Field(500, description="most messages of one invocation")

    @model_validator(mode="after")
    def _check(self) -> Kafka:
        if self.bootstrap_servers and self.cluster_arn:
            raise ValueError("bootstrap_servers and cluster_arn exclude each other: keep one")
        if self.cluster_arn and not _CLUSTER_ARN.fullmatch(self.cluster_arn):
            raise ValueError(
                f"cluster_arn: {self.cluster_arn!r} is not the ARN of an MSK cluster; copy it from "
                "`aws kafka list-clusters-v2`: arn:aws:kafka:REGION:ACCOUNT:cluster/NAME/UUID"
            )
        if self.bootstrap_servers and not self.secret:
            raise ValueError("bootstrap_servers requires secret: Lambda reads brokers only with credentials")
        if wrong := [s for s in self.bootstrap_servers if not re.fullmatch(r"[A-Za-z0-9.-]+:\d{1,5}", s)]:
            raise ValueError(f"bootstrap_servers: {wrong[0]!r}: write host:port")
        return self


class Archive(Section):
    """The archive of the event logs in S3."""

    enabled: bool = Field(False, description="copy the event log of every source to a bucket, every five minutes")
    retention_days: Annotated[int, Field(ge=0, le=36_500)] = Field(
        0, description="days that the archive is kept; 0: without end"
    )
