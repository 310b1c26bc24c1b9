"""The functions' assets, made without Docker: our code, and a layer of pinned packages for the target platform."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from infra.settings import ROOT, Switches

BUILD = ROOT / ".build"
REQUIREMENTS = ROOT / "requirements" / "functions.txt"
PLATFORM = "aarch64-manylinux_2_28"
"""Of Lambda's Amazon Linux 2023 on arm64: glibc 2.34."""

CODE_PACKAGES = ("chaincast", "functions")
AWS_SERVICES = ("apigatewaymanagementapi", "dynamodb", "s3", "secretsmanager", "sqs")
"""The services whose models stay in botocore: the other four hundred are 95 % of its size."""

_FORMAT = b"2"


def code_directory(kinds: Mapping[str, object], settings: str) -> Path:
    """The functions' own code, without caches, the schemas of a team's own kinds, and the documentation that the
    deployment serves (`pages/`, made with the functions' settings); a few dozen small files."""
    target = BUILD / "code"
    shutil.rmtree(target, ignore_errors=True)
    for package in CODE_PACKAGES:
        shutil.copytree(ROOT / package, target / package, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    if kinds:
        (target / "kinds.json").write_text(json.dumps(kinds), encoding="utf-8")
    command = [sys.executable, "-m", "pages", str(target / "pages")]
    done = subprocess.run(command, cwd=ROOT, input=settings, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"chaincast: the documentation could not be made\n{done.stderr.strip()}")
    return target


def dependencies_directory(switches: Switches) -> Path:
    """The layer's contents (`python/…`), installed once for what they are made of."""
    platform = sys.platform if switches.local else PLATFORM
    made_of = (platform, switches.python, *AWS_SERVICES)
    key = hashlib.sha256(b"\n".join((REQUIREMENTS.read_bytes(), _FORMAT, *(part.encode() for part in made_of))))
    target = BUILD / f"dependencies-{key.hexdigest()[:16]}"
    if target.exists():
        return target
    unfinished = BUILD / "dependencies-unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    packages = unfinished / "python"
    command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--target", str(packages)]
    command += ["--python-version", switches.python, "--only-binary", ":all:", "--require-hashes", "--no-deps"]
    if not switches.local:
        command += ["--python-platform", PLATFORM]
    done = subprocess.run([*command, "-r", str(REQUIREMENTS)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"chaincast: the functions' packages could not be installed\n{done.stderr.strip()}")
    _trim(packages)
    unfinished.rename(target)
    return target


def _trim(packages: Path) -> None:
    """Drop what no function uses: other services' models, caches, scripts."""
    for service in (packages / "botocore" / "data").iterdir():
        if service.is_dir() and service.name not in AWS_SERVICES:
            shutil.rmtree(service)
    for cache in packages.rglob("__pycache__"):
        shutil.rmtree(cache)
    shutil.rmtree(packages / "bin", ignore_errors=True)
    (packages / ".lock").unlink(missing_ok=True)
