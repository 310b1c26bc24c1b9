"""`chaincast check`: find what would fail in the middle of a deployment, before it begins."""

from __future__ import annotations

import argparse
import platform
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

from chaincast.config.load import load
from chaincast.config.model import Config
from chaincast.errors import ConfigError
from local.findings import Finding, show

SECONDS = 30
EMULATION = Path("/proc/sys/fs/binfmt_misc/qemu-aarch64")
"""Exists if Linux runs programs for ARM by emulation, which building the listener's image needs on other machines."""


def run(options: argparse.Namespace) -> int:
    """Print the findings. Return 0 if no check failed."""
    return show(list(examine(Path(options.file), deploy=options.deploy)), as_json=options.json)


def examine(file: Path, *, deploy: bool) -> Iterator[Finding]:
    """Yield the findings about a configuration, and with `deploy` about the machine and the account."""
    try:
        config = load(file)
    except (ConfigError, OSError) as error:
        yield Finding("configuration", False, str(error), "docs/configuration.md lists all settings")
        return
    networks = ", ".join(config.deployed_networks(local=False)) or "no networks"
    yield Finding("configuration", True, f"{file}: {networks}")
    if not deploy:
        return
    yield _check_image()
    yield _check_credentials()
    for name, purpose in secrets_of(config).items():
        yield _check_secret(name, purpose)


def secrets_of(config: Config) -> dict[str, str]:
    """Return the names of the secrets that the stack reads, each with the setting that names it."""
    secrets: dict[str, str] = {}
    for name, network in config.deployed_networks(local=False).items():
        if network.rpc_secret:
            secrets[network.rpc_secret.partition("#")[0]] = f"networks.{name}.rpc_secret"
    if config.kafka.secret:
        secrets[config.kafka.secret] = "kafka.secret"
    if config.auth.secret:
        secrets[config.auth.secret] = "auth.secret"
    return secrets


def _check_image() -> Finding:
    """Check that this machine can build the listener's image, which is for ARM (infra/listener.py)."""
    docker = shutil.which("docker")
    if docker is None:
        return Finding("listener image", False, "docker is not installed", "cdk deploy builds the image with docker")
    try:
        subprocess.run([docker, "info"], capture_output=True, check=True, timeout=SECONDS)
    except (subprocess.SubprocessError, OSError) as error:
        return Finding("listener image", False, f"docker does not respond: {error}", "start Docker")
    machine = platform.machine().lower()
    if machine in ("aarch64", "arm64") or platform.system() != "Linux" or EMULATION.exists():
        return Finding("listener image", True, f"an image for arm64 can be built on {machine}")
    return Finding(
        "listener image",
        False,
        f"this machine ({machine}) cannot run programs for arm64",
        "docker run --privileged --rm tonistiigi/binfmt --install arm64",
    )


def _check_credentials() -> Finding:
    try:
        caller = _client("sts").get_caller_identity()
    except (NoCredentialsError, NoRegionError) as error:
        return Finding("account", False, str(error), "aws configure, or set AWS_PROFILE and AWS_REGION")
    except (BotoCoreError, ClientError) as error:
        return Finding("account", False, str(error), "use the credentials and the region of cdk deploy")
    return Finding("account", True, f"{caller['Account']} in {boto3.Session().region_name}, as {caller['Arn']}")


def _check_secret(name: str, setting: str) -> Finding:
    check = f"secret {name}"
    try:
        found = _client("secretsmanager").describe_secret(SecretId=name)
    except ClientError as error:
        missing = error.response["Error"]["Code"] == "ResourceNotFoundException"
        advice = f"create it: aws secretsmanager create-secret --name {name} --secret-string …"
        return Finding(check, False if missing else None, f"{setting}: {error}", advice)
    except BotoCoreError as error:
        return Finding(check, None, f"{setting}: {error}")
    key = found.get("KmsKeyId")
    if key and "alias/aws/secretsmanager" not in key:
        advice = "the key's policy must allow the roles of the stack kms:Decrypt (docs/deploying.md)"
        return Finding(check, None, f"{setting}: encrypted with {key}; {advice}")
    return Finding(check, True, f"{setting}: exists")


def _client(service: str) -> Any:
    session: Any = boto3.Session()
    return session.client(service)
