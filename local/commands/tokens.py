"""`chaincast token`: a token for the stack that runs on this machine, as a team's auth service would issue it."""

from __future__ import annotations

import argparse
import json
import time
from typing import TYPE_CHECKING

import jwt

from local.stack.administrator import session
from local.stack.deployment import STACK, run_directory
from local.stack.tools import StepFailed

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient


def run(options: argparse.Namespace) -> int:
    """Print a token."""
    outputs = run_directory(options.port) / "outputs.json"
    if not outputs.exists():
        raise StepFailed("token", f"no stack runs on port {options.port} of this machine", "make dev")
    secret = json.loads(outputs.read_text())[STACK].get("JwtSecret")
    if secret is None:
        raise StepFailed("token", "this stack asks nobody for one", '[auth] mode = "optional" in chaincast.toml')
    print(issue(f"http://127.0.0.1:{options.port}", secret, options.user, options.seconds))
    return 0


def issue(endpoint: str, secret_id: str, user: str, seconds: int = 3600) -> str:
    """A token of a user, good for so many seconds, signed with the local stack's secret."""
    client: SecretsManagerClient = session().client("secretsmanager", endpoint_url=endpoint)
    secret = client.get_secret_value(SecretId=secret_id)["SecretString"]
    claims = {"sub": user, "email": f"{user}@example.com", "exp": int(time.time()) + seconds}
    return jwt.encode(claims, secret, algorithm="HS256")
