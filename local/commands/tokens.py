"""`chaincast token`: print a client token for the local stack, as a team's auth service would issue it."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

import jwt

from local.errors import StepFailed
from local.stack.administrator import session
from local.stack.deployment import read_outputs

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient


def run(options: argparse.Namespace) -> int:
    """Print a token. Raises `StepFailed`."""
    secret = read_outputs(options.port).get("JwtSecret")
    if secret is None:
        advice = 'set mode = "optional" in section [auth] of chaincast.toml, then make redeploy'
        raise StepFailed("token", "this stack does not check tokens", advice)
    print(issue(f"http://127.0.0.1:{options.port}", secret, options.user, options.seconds))
    return 0


def issue(endpoint: str, secret_id: str, user: str, seconds: int = 3600) -> str:
    """Return a token of a user, valid for `seconds`, signed with the secret of the local stack."""
    client: SecretsManagerClient = session().client("secretsmanager", endpoint_url=endpoint)
    secret = client.get_secret_value(SecretId=secret_id)["SecretString"]
    claims = {"sub": user, "email": f"{user}@example.com", "exp": int(time.time()) + seconds}
    return jwt.encode(claims, secret, algorithm="HS256")
