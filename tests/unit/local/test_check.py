"""Tests of `chaincast check`: what would fail in the middle of a deployment is found before."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from local.cli import main
from local.commands import check
from local.findings import Finding

CONFIG = """
[auth]
mode = "required"
secret = "team/jwt"

[networks.base]
rpc_secret = "team/rpc#base"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "chaincast.toml"
    path.write_text(CONFIG)
    return path


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Any:
    """An account with one of the two secrets, and a machine that can build images."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {"ACCESS_KEY_ID": "AKID", "SECRET_ACCESS_KEY": "x", "DEFAULT_REGION": "eu-central-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setattr(check, "_check_image", lambda: Finding("listener image", True, "can be built"))
    with mock_aws():
        secrets: Any = boto3.client("secretsmanager")
        secrets.create_secret(Name="team/rpc", SecretString="https://node.example/key")
        yield secrets


def test_a_secret_that_does_not_exist_is_found(config: Path, account: Any) -> None:
    found = {finding.check: finding for finding in check.examine(config, deploy=True)}
    assert {name: finding.ok for name, finding in found.items()} == {
        "configuration": True,
        "listener image": True,
        "account": True,
        "secret team/rpc": True,
        "secret team/jwt": False,
    }
    assert "auth.secret" in found["secret team/jwt"].message
    assert "create-secret --name team/jwt" in found["secret team/jwt"].advice


def test_a_secret_with_a_key_of_the_team_needs_a_look(config: Path, account: Any) -> None:
    key = "arn:aws:kms:eu-central-1:1:key/k"
    account.create_secret(Name="team/jwt", SecretString="x" * 32, KmsKeyId=key)
    (finding,) = [f for f in check.examine(config, deploy=True) if f.check == "secret team/jwt"]
    assert finding.ok is None
    assert "kms:Decrypt" in finding.message


def test_without_credentials_the_account_is_the_finding(
    config: Path, account: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config.parent / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(config.parent / "none"))
    found = {finding.check: finding.ok for finding in check.examine(config, deploy=True)}
    assert found == {
        "configuration": True,
        "listener image": True,
        "account": False,
        "secret team/rpc": None,
        "secret team/jwt": None,
    }


@pytest.mark.parametrize(
    ("machine", "system", "emulated", "ok"),
    [
        ("aarch64", "Linux", False, True),
        ("x86_64", "Linux", True, True),
        ("x86_64", "Linux", False, False),
        ("x86_64", "Darwin", False, True),
    ],
)
def test_a_machine_must_be_able_to_build_the_image_of_the_listener(
    machine: str, system: str, emulated: bool, ok: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "docker").write_text("#!/bin/sh\nexit 0\n")
    (tmp_path / "docker").chmod(0o755)
    emulation = tmp_path / "qemu-aarch64"
    if emulated:
        emulation.touch()
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(check, "EMULATION", emulation)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(platform, "system", lambda: system)
    finding = check._check_image()
    assert finding.ok == ok
    assert ok or "binfmt" in finding.advice
    (tmp_path / "docker").write_text("#!/bin/sh\nexit 1\n")
    assert check._check_image().ok is False


def test_a_wrong_configuration_is_refused_with_its_reason(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text(CONFIG.replace("required", "sometimes"))
    assert main(["check", str(config), "--deploy", "--json"]) == 1
    (finding,) = json.loads(capsys.readouterr().out)
    assert "sometimes" in finding["message"]
    config.write_text(CONFIG)
    assert main(["check", str(config)]) == 0
    assert "✓ configuration:" in capsys.readouterr().out


def test_the_command_runs_as_documented() -> None:
    done = subprocess.run([".venv/bin/chaincast", "check"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
