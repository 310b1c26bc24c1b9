"""Tests of the listener's container image, as far as they are possible without a Docker engine."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from local.stack.checkout import ROOT

DOCKERFILE = (ROOT / "listener" / "Dockerfile").read_text()


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile with their arguments, continued lines joined."""
    joined = re.sub(r"\\\n", " ", DOCKERFILE)
    lines = [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in lines)]


def arguments_of(name: str) -> list[str]:
    return [rest for instruction, rest in instructions() if instruction == name]


def test_the_base_is_pinned_the_user_is_not_root_and_health_is_checked() -> None:
    (base,) = arguments_of("FROM")
    assert re.fullmatch(r"\S+/python:3\.13\.\d+-slim-\w+", base)
    assert arguments_of("USER") == ["10001"]
    assert arguments_of("HEALTHCHECK")[0].endswith('CMD ["python", "-m", "listener.health"]')
    assert "ADD" not in {name for name, _ in instructions()}


def test_hadolint_finds_nothing() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [str(hadolint), str(ROOT / "listener" / "Dockerfile")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_instruction_is_one_that_docker_knows() -> None:
    known = {"FROM", "ARG", "ENV", "WORKDIR", "COPY", "RUN", "USER", "HEALTHCHECK", "CMD"}
    assert {name for name, _ in instructions()} <= known
    assert arguments_of("CMD") == ['["python", "-m", "listener"]']


def test_what_is_copied_exists_and_is_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[0] == "*"
    let_in = [line.removeprefix("!") for line in ignored if line.startswith("!")]
    for copy in arguments_of("COPY"):
        source = copy.split()[0].replace("${CONFIG}", "chaincast.toml")
        assert (ROOT / source).exists()
        assert any(source == allowed or Path(source).match(allowed) for allowed in let_in), source


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean environment in which the COPY and RUN pip instructions of the Dockerfile were carried out."""
    app = tmp_path_factory.mktemp("app")
    venv.create(app / "venv", with_pip=True)
    environment = {**os.environ, "PATH": f"{app / 'venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    for name, rest in instructions():
        if name == "COPY":
            source, target = rest.replace("${CONFIG}", "chaincast.toml").split()
            origin, copy = ROOT / source, app / target
            copy.parent.mkdir(parents=True, exist_ok=True)
            if origin.is_dir():
                shutil.copytree(origin, copy, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(origin, copy)
        elif name == "RUN" and rest.startswith("pip "):
            done = subprocess.run(
                shlex.split(rest), cwd=app, env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
    return app


def run(image: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    python = str(image / "venv" / "bin" / "python")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "CHAINCAST_", "PYTHON"))}
    return subprocess.run(
        [python, *command[1:]], cwd=image, env={**kept, **environment}, capture_output=True, text=True, check=False
    )


def test_the_start_command_needs_nothing_that_is_not_installed(image: Path) -> None:
    done = run(image, "python", "-m", "listener")
    assert done.returncode == 2
    assert "CHAINCAST_NETWORK is '': '' is not configured; known: anvil" in done.stdout
    done = run(image, "python", "-m", "listener", CHAINCAST_NETWORK="anvil", AWS_DEFAULT_REGION="us-east-1")
    assert done.returncode == 2
    assert "CHAINCAST_STATE_TABLE: not set" in done.stdout


def test_the_health_command_detects_a_stuck_loop(image: Path, tmp_path: Path) -> None:
    folder = tmp_path / "health"
    environment = {"CHAINCAST_HEALTH_FOLDER": str(folder)}
    assert run(image, "python", "-m", "listener.health", **environment).returncode == 1
    folder.mkdir()
    for network in ("bsc", "base"):
        (folder / network).touch()
    assert run(image, "python", "-m", "listener.health", **environment).returncode == 0
    os.utime(folder / "bsc", (0, 0))
    done = run(image, "python", "-m", "listener.health", **environment)
    assert done.returncode == 1
    assert "the loop of bsc last ran" in done.stdout
