"""The assets of the functions, built without Docker: each function's own code, and layers of pinned packages.

A function's code asset contains only the modules that it imports (infra/imports.py). Packages are installed for the
platform that the function runs on.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from infra.imports import imports_of
from infra.settings import ROOT, Switches

BUILD = ROOT / ".build"
REQUIREMENTS = ROOT / "requirements" / "functions.txt"
PLATFORM = "aarch64-manylinux_2_28"
"""Platform of Lambda's Amazon Linux 2023 on arm64, which has glibc 2.34."""

LAYERS: dict[str, tuple[str, ...]] = {
    "base": (
        "aws-lambda-powertools",
        "boto3",
        "botocore",
        "jmespath",
        "orjson",
        "python-dateutil",
        "s3transfer",
        "six",
        "typing-extensions",
        "urllib3",
    ),
    "transport": ("aiofastnet", "httptools", "uvloop"),
    "models": ("annotated-types", "pydantic", "pydantic-core", "typing-inspection"),
    "tokens": ("cffi", "cryptography", "pycparser", "pyjwt"),
    "schemas": ("fastjsonschema",),
    "metrics": ("prometheus-client",),
}
"""The packages of requirements/functions.txt by layer. Lambda allows a function five layers."""

LAYER_MODULES = {
    "transport": ("aiofastnet", "httptools", "uvloop"),
    "models": ("pydantic", "aws_lambda_powertools.event_handler"),
    "tokens": ("jwt",),
    "schemas": ("fastjsonschema",),
    "metrics": ("prometheus_client",),
}
"""Layer → the modules that a function must import to get it. Every function has the layer `base`."""

AWS_SERVICES = ("apigatewaymanagementapi", "dynamodb", "s3", "secretsmanager", "sqs")
"""The services whose models stay in botocore. The other four hundred make up 95 % of its size."""

_FORMAT = b"4"
"""Version of what `_trim` removes. It is part of a layer's name, so that a change rebuilds all layers."""
KINDS_READER = Path("functions/publish_services.py")
"""A function with this file gets kinds.json, the schemas of the team's own event kinds."""
PAGES_READER = Path("functions/status.py")
"""A function with this file gets the documentation that the deployment serves."""


def layers_of(module: str) -> tuple[str, ...]:
    """Return the names of the layers that a function needs."""
    others = imports_of(module).others
    return ("base", *(name for name, modules in LAYER_MODULES.items() if any(_imports(others, m) for m in modules)))


def _imports(names: frozenset[str], module: str) -> bool:
    return any(name == module or name.startswith(f"{module}.") for name in names)


def code_directory(module: str, kinds: Mapping[str, object], settings: str, python: str) -> Path:
    """Return the directory of a function's own code, which is built once for each digest of its inputs.

    It also holds kinds.json (`kinds`: the schemas of the team's own event kinds) and the documentation pages (built
    with the functions' `settings`) if the function reads them.
    """
    contents = {file: (ROOT / file).read_bytes() for file in sorted(imports_of(module).files)}
    own_kinds = json.dumps(kinds) if kinds and KINDS_READER in contents else ""
    pages_inputs = f"{settings}{_pages_digest()}" if PAGES_READER in contents else ""
    inputs = (*(part for file, text in contents.items() for part in (str(file).encode(), text)), own_kinds.encode())
    compiler = f"{python} {interpreter(python) is not None}".encode()
    target = BUILD / "code" / f"{module}-{_digest(*inputs, pages_inputs.encode(), compiler)}"
    if not target.exists():
        with atomic_directory(target) as folder:
            for file, text in contents.items():
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                (folder / file).write_bytes(text)
            if own_kinds:
                (folder / "kinds.json").write_text(own_kinds, encoding="utf-8")
            if pages_inputs:
                _build_pages(folder / "pages", settings)
            _compile(folder, python)
    return target


def _pages_digest() -> str:
    """Return a digest of the documentation's inputs other than settings: the code it describes, and the packages."""
    folders = ("chaincast", "functions", "pages")
    sources = (path for folder in folders for path in sorted((ROOT / folder).rglob("*.py")))
    return _digest(*(path.read_bytes() for path in sources), REQUIREMENTS.read_bytes())


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


@contextmanager
def atomic_directory(target: Path) -> Iterator[Path]:
    """Yield a temporary directory that is renamed to `target` at the end, so that `target` is never incomplete.

    If another process has created `target` by then, its version stays and the temporary directory is removed.
    """
    folder = target.with_name(f"{target.name}.{os.getpid()}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    yield folder
    try:
        folder.rename(target)
    except OSError:
        if not target.exists():
            raise
        shutil.rmtree(folder)


def _build_pages(target: Path, settings: str) -> None:
    command = [sys.executable, "-m", "pages", str(target)]
    done = subprocess.run(command, cwd=ROOT, input=settings, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"chaincast: building the documentation failed\n{done.stderr.strip()}")


def layer_directory(layer: str, switches: Switches) -> Path:
    """Return the directory of a layer's contents (`python/…`), installed once for each digest of its inputs."""
    pinned = "".join(_pins()[package] for package in LAYERS[layer])
    platform = sys.platform if switches.local else PLATFORM
    inputs = (platform, switches.python, *AWS_SERVICES)
    compiled = str(interpreter(switches.python) is not None)
    parts = (part.encode() for part in (*inputs, compiled))
    target = BUILD / f"{layer}-{_digest(pinned.encode(), _FORMAT, *parts)}"
    if target.exists():
        return target
    with atomic_directory(target) as folder:
        packages = folder / "python"
        packages.mkdir()
        requirements = folder / "requirements.txt"
        requirements.write_text(pinned, encoding="utf-8")
        command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--target", str(packages)]
        command += ["--python-version", switches.python, "--only-binary", ":all:", "--require-hashes", "--no-deps"]
        if not switches.local:
            command += ["--python-platform", PLATFORM]
        done = subprocess.run([*command, "-r", str(requirements)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"chaincast: installing the functions' packages failed\n{done.stderr.strip()}")
        requirements.unlink()
        _trim(packages)
        _compile(packages, switches.python)
    return target


@cache
def interpreter(version: str) -> str | None:
    """Return a Python interpreter of the functions' version, or None, with a message, if this machine has none."""
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    find = [sys.executable, "-m", "uv", "python", "find", "--no-python-downloads", "--no-project", version]
    found = subprocess.run(find, capture_output=True, text=True, check=False).stdout.strip()
    for candidate in filter(None, (found, shutil.which(f"python{version}"))):
        # A name on PATH may be the shim of a version manager, which does not run.
        shown = [candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        if subprocess.run(shown, capture_output=True, text=True, check=False).stdout.strip() == version:
            return candidate
    message = f"python{version} is not installed here: functions will compile their modules at every cold start"
    print(f"chaincast: {message}", file=sys.stderr)
    return None


def _compile(folder: Path, version: str) -> None:
    """Compile the modules of an asset, if there is an interpreter of the functions' version of Python.

    /opt and /var/task are read-only in Lambda, so that without this every cold start compiles all that it imports.
    Unchecked hashes make the files independent of timestamps (PEP 552).
    """
    if (python := interpreter(version)) is not None:
        command = [python, "-m", "compileall", "-q", "-q", "--invalidation-mode", "unchecked-hash"]
        # Some packages contain files that are not modules; compileall skips them and returns 1.
        subprocess.run([*command, "-s", str(folder), "-p", "/", str(folder)], check=False)


@cache
def _pins() -> dict[str, str]:
    """Return the lines of the requirements file by package: its version and hashes."""
    text = REQUIREMENTS.read_text(encoding="utf-8")
    entries = re.findall(r"^(?:[a-z][^\n]*\n(?:    [^\n]*\n)*)", text, re.MULTILINE)
    return {re.split(r"[=\[ ]", entry, maxsplit=1)[0]: entry for entry in entries}


def _trim(packages: Path) -> None:
    """Remove files that no function uses: models of other AWS services, bytecode caches, scripts."""
    if (packages / "botocore").exists():
        for service in (packages / "botocore" / "data").iterdir():
            if service.is_dir() and service.name not in AWS_SERVICES:
                shutil.rmtree(service)
    for cached in packages.rglob("__pycache__"):
        shutil.rmtree(cached)
    shutil.rmtree(packages / "bin", ignore_errors=True)
    (packages / ".lock").unlink(missing_ok=True)
