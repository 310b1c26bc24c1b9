"""Secrets from AWS Secrets Manager, by Powertools: kept for five minutes, so that a new value soon takes effect."""

from __future__ import annotations

from chaincast.aws import environment

MAX_AGE_SECONDS = 300


def secret(variable: str) -> str:
    """The value of the secret that an environment variable names. Raises what Secrets Manager does."""
    from aws_lambda_powertools.utilities.parameters import get_secret  # only where a token is checked

    value: str = get_secret(environment.require_env(variable), max_age=MAX_AGE_SECONDS)
    return value
