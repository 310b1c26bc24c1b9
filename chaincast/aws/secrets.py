"""Secrets from AWS Secrets Manager, cached by Powertools for five minutes, so that a new value soon takes effect."""

from __future__ import annotations

MAX_AGE_SECONDS = 300


def read_secret(secret_id: str) -> str:
    """Return the value of a secret, given its name or ARN. Raises what Secrets Manager raises."""
    from aws_lambda_powertools.utilities.parameters import get_secret  # imported here: most invocations need no secret

    value: str = get_secret(secret_id, max_age=MAX_AGE_SECONDS)
    return value
