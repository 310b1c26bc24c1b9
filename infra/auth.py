"""The secret that client tokens are signed with: one that exists already, or one that the stack creates."""

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
class SecretReference:
    """A secret in Secrets Manager, as its readers need it.

    `id`: what GetSecretValue is called with (a name or an ARN). `arn`: the resource of a policy that allows the call.
    """

    id: str
    arn: str


def make_jwt_secret(scope: Construct, name: str) -> SecretReference:
    """Return the existing secret `name`, or create one of 64 random characters if `name` is empty.

    The service that issues tokens needs read access to it.
    """
    if name:
        # Secrets Manager appends a hyphen and six random characters to the name in the ARN.
        arn = Stack.of(scope).format_arn(
            service="secretsmanager",
            resource="secret",
            resource_name=f"{name}-??????",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        return SecretReference(name, arn)
    secret = secrets.Secret(
        scope,
        "TokenSecret",
        description="Chaincast: the key that client tokens are signed with (HS256)",
        generate_secret_string=secrets.SecretStringGenerator(password_length=64, exclude_punctuation=True),
    )
    acknowledge(secret, "SMG4", "The token issuer must switch to a new value at the same time, so the team rotates it.")
    return secret_reference(secret)


def secret_reference(secret: secrets.Secret) -> SecretReference:
    """Return the reference of a secret that this stack creates."""
    # Attribute `Id` is the ARN on AWS and on MiniStack; `Ref` is the ARN on AWS, but the name on MiniStack.
    arn = cast(CfnResource, secret.node.default_child).get_att("Id").to_string()
    return SecretReference(arn, arn)


def secret_environment(jwt_secret: SecretReference | None) -> dict[str, str]:
    """Return the environment variables of a function that checks tokens."""
    return {"CHAINCAST_JWT_SECRET": jwt_secret.id} if jwt_secret else {}


def grant_secret(function: lambda_.Function, secret: SecretReference | None) -> None:
    """Allow a function to read a secret, if there is one."""
    if secret:
        allow(function, [secret.arn], "secretsmanager:GetSecretValue")
