"""`[publish]`: what backends may publish, and who they must be."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from chaincast.config.section import FOLDER, Section


def _https(value: str) -> str:
    if value and not value.startswith("https://"):
        raise ValueError("an issuer is an https:// URL")
    return value


class Callers(Section):
    """Who may call a route of the HTTP API; API Gateway itself checks it."""

    auth: Literal["iam", "jwt", "off"] = Field(
        "iam",
        description="who may: `iam` (requests signed by AWS credentials that may `execute-api:Invoke`), `jwt` (a "
        "bearer token of `issuer`, for `audience`, with `scope`), `off` (nobody: there is no such route)",
    )
    issuer: Annotated[str, AfterValidator(_https)] = Field("", description="with `jwt`: who issues the tokens (`iss`)")
    audience: tuple[str, ...] = Field((), description="with `jwt`: for whom they are (`aud` or `client_id`)")

    @model_validator(mode="after")
    def _check_issuer(self) -> Callers:
        if self.auth == "jwt" and not (self.issuer and self.audience):
            raise ValueError("auth 'jwt' needs issuer and audience")
        return self


class Publish(Callers):
    """`POST /publish`."""

    scope: str = Field("chaincast/publish", description="with `jwt`: what they must allow (`scope` or `scp`)")
    log_partitions: Annotated[int, Field(ge=1, le=16)] = Field(
        1, description="Logs that what is published is spread over, by symbol or user; more for more publishers at once"
    )
    kinds: dict[str, Any] = Field(
        default_factory=dict,
        description="a team's own kinds: name → JSON Schema of the data, as a file beside this one or a table",
    )

    @field_validator("kinds")
    @classmethod
    def _schemas(cls, kinds: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        # Not for those who have no kinds of their own: a validator's import.
        from chaincast.model.schemas import BUILT_IN, BadSchema, compiled

        found = {}
        for kind, given in kinds.items():
            if not re.fullmatch(r"[a-z][a-z0-9_.]{0,63}", kind) or kind in BUILT_IN:
                known = ", ".join(BUILT_IN)
                raise ValueError(f"kind {kind!r}: lower-case letters, digits, '_' and '.', and none of {known}")
            found[kind] = _schema(kind, given, Path((info.context or {}).get(FOLDER, ".")))
            try:
                compiled(kind, found[kind])
            except BadSchema as error:
                raise ValueError(str(error)) from None
        return found


class Admin(Callers):
    """`DELETE /connections/{id}` and `DELETE /users/{user}/connections`: ending connections."""

    scope: str = Field("chaincast/admin", description="with `jwt`: what they must allow (`scope` or `scp`)")


def _schema(kind: str, given: object, folder: Path) -> object:
    if not isinstance(given, str):
        return given
    try:
        return json.loads((folder / given).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"kind {kind!r}: {folder / given} cannot be read as JSON: {error}") from None


class Kafka(Section):
    """Kafka topics whose messages are published; none while neither brokers nor a cluster are named."""

    bootstrap_servers: tuple[str, ...] = Field((), description="brokers of one's own, `host:port`")
    cluster_arn: str = Field("", description="instead: an MSK cluster; it is read with IAM authentication")
    secret: str = Field("", description="with `bootstrap_servers`: name of a secret with `username` and `password`")
    authentication: Literal["scram-512", "scram-256", "plain"] = Field("scram-512", description="how (SASL)")
    topics: tuple[str, ...] = Field(
        ("price.updates", "order.book.updates", "trade.notifications", "portfolio.updates", "system.alerts"),
        description="what is read",
    )
    consumer_group: str = Field("chaincast", description="prefix of the consumer groups, one for each topic")
    batch_size: Annotated[int, Field(ge=1, le=10_000)] = Field(500, description="most messages at once")

    @model_validator(mode="after")
    def _check(self) -> Kafka:
        if self.bootstrap_servers and self.cluster_arn:
            raise ValueError("bootstrap_servers and cluster_arn: which of the two?")
        if self.bootstrap_servers and not self.secret:
            raise ValueError("bootstrap_servers needs secret: Lambda asks for credentials where it reads brokers")
        if wrong := [s for s in self.bootstrap_servers if not re.fullmatch(r"[A-Za-z0-9.-]+:\d{1,5}", s)]:
            raise ValueError(f"bootstrap_servers: {wrong[0]!r} is not host:port")
        return self


class Archive(Section):
    """The archive of everything that was told, in S3."""

    enabled: bool = Field(False, description="whether every source's Log is copied to a bucket, every five minutes")
    retention_days: Annotated[int, Field(ge=0, le=36_500)] = Field(
        0, description="how long it is kept there; 0: for good"
    )
