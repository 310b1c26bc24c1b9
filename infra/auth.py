"""Secrets, and the one that clients' tokens are signed with: one that is there, or one that the stack makes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from aws_cdk import ArnFormat, CfnResource, Stack
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_secretsmanager as secrets
from constructs import Construct

from infra.functions import allow
from infra.nag import acknowledge


@dataclass(frozen=True, slots=True)
class KnownSecret:
    """How the secret is asked for, and what reading it takes in a policy."""

    id: str
    arn: str


def make_jwt_secret(scope: Construct, name: str) -> KnownSecret:
    """The secret called `name`; without a name a new one, of 64 random characters, for the issuer of tokens to read."""
    if name:
        # AWS puts a hyphen and six characters of its own behind the name.
        arn = Stack.of(scope).format_arn(
            service="secretsmanager",
            resource="secret",
            resource_name=f"{name}-??????",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        return KnownSecret(name, arn)
    secret = secrets.Secret(
        scope,
        "TokenSecret",
        description="Chaincast: what clients' tokens (HS256) are signed with",
        generate_secret_string=secrets.SecretStringGenerator(password_length=64, exclude_punctuation=True),
    )
    acknowledge(secret, "SMG4", "Whoever issues tokens must sign with a new value at once: that is theirs to time.")
    return known(secret)


def known(secret: secrets.Secret) -> KnownSecret:
    """How a secret of the stack's own is asked for."""
    # `Id` is the ARN everywhere; `Ref` is, too, on AWS, but the name on MiniStack.
    arn = cast(CfnResource, secret.node.default_child).get_att("Id").to_string()
    return KnownSecret(arn, arn)


def named(jwt_secret: KnownSecret | None) -> dict[str, str]:
    """The environment of a function that checks tokens."""
    return {"CHAINCAST_JWT_SECRET": jwt_secret.id} if jwt_secret else {}


def let_read(function: lambda_.Function, jwt_secret: KnownSecret | None) -> None:
    """Let a function that checks tokens read the secret."""
    if jwt_secret:
        allow(function, [jwt_secret.arn], "secretsmanager:GetSecretValue")
