"""The functions' assets, made without Docker: of each its own code, and layers of pinned packages for the target
platform. What a function does not import is in none of its assets (infra/imports.py)."""

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
"""Of Lambda's Amazon Linux 2023 on arm64: glibc 2.34."""

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
    "hot": ("aiofastnet", "httptools", "uvloop"),
    "models": ("annotated-types", "pydantic", "pydantic-core", "typing-inspection"),
    "tokens": ("cffi", "cryptography", "pycparser", "pyjwt"),
    "schemas": ("fastjsonschema",),
    "figures": ("prometheus-client",),
}
"""The packages of requirements/functions.txt by the layer that they are in. A function may have five."""

NEEDED_BY = {
    "hot": ("aiofastnet", "httptools", "uvloop"),
    "models": ("pydantic", "aws_lambda_powertools.event_handler"),
    "tokens": ("jwt",),
    "schemas": ("fastjsonschema",),
    "figures": ("prometheus_client",),
}
"""Layer → the modules whose import asks for it. All have the base."""

AWS_SERVICES = ("apigatewaymanagementapi", "dynamodb", "s3", "secretsmanager", "sqs")
"""The services whose models stay in botocore: the other four hundred are 95 % of its size."""

_FORMAT = b"3"
KINDS_READER = Path("chaincast/publishing/service.py")
PAGES_READER = Path("functions/status.py")


def layers_of(module: str) -> tuple[str, ...]:
    """The layers that a function needs."""
    others = imports_of(module).others
    return ("base", *(name for name, modules in NEEDED_BY.items() if any(_has(others, m) for m in modules)))


def _has(names: frozenset[str], module: str) -> bool:
    return any(name == module or name.startswith(f"{module}.") for name in names)


def code_directory(module: str, kinds: Mapping[str, object], settings: str) -> Path:
    """A function's own code; where it reads them, the schemas of a team's own kinds, and the documentation that the
    deployment serves (made with the functions' settings). Made once for what they are made of."""
    contents = {file: (ROOT / file).read_bytes() for file in sorted(imports_of(module).files)}
    own_kinds = json.dumps(kinds) if kinds and KINDS_READER in contents else ""
    documented = f"{settings}{_documented()}" if PAGES_READER in contents else ""
    made_of = (*(part for file, text in contents.items() for part in (str(file).encode(), text)), own_kinds.encode())
    target = BUILD / "code" / f"{module}-{_digest(*made_of, documented.encode())}"
    if not target.exists():
        with made_whole(target) as folder:
            for file, text in contents.items():
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                (folder / file).write_bytes(text)
            if own_kinds:
                (folder / "kinds.json").write_text(own_kinds, encoding="utf-8")
            if documented:
                _make_pages(folder / "pages", settings)
    return target


def _documented() -> str:
    """A digest of what the documentation is made of, besides settings: the code that it is about, and its packages."""
    folders = ("chaincast", "functions", "pages")
    sources = (path for folder in folders for path in sorted((ROOT / folder).rglob("*.py")))
    return _digest(*(path.read_bytes() for path in sources), REQUIREMENTS.read_bytes())


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


@contextmanager
def made_whole(target: Path) -> Iterator[Path]:
    """A folder to make something in. When all is there it takes its place, unless another process was first."""
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


def _make_pages(target: Path, settings: str) -> None:
    command = [sys.executable, "-m", "pages", str(target)]
    done = subprocess.run(command, cwd=ROOT, input=settings, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"chaincast: the documentation could not be made\n{done.stderr.strip()}")


def layer_directory(layer: str, switches: Switches) -> Path:
    """A layer's contents (`python/…`), installed once for what they are made of."""
    pinned = "".join(_pins()[package] for package in LAYERS[layer])
    platform = sys.platform if switches.local else PLATFORM
    made_of = (platform, switches.python, *AWS_SERVICES)
    target = BUILD / f"{layer}-{_digest(pinned.encode(), _FORMAT, *(part.encode() for part in made_of))}"
    if target.exists():
        return target
    with made_whole(target) as folder:
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
            raise SystemExit(f"chaincast: the functions' packages could not be installed\n{done.stderr.strip()}")
        requirements.unlink()
        _trim(packages)
    return target


@cache
def _pins() -> dict[str, str]:
    """Each package of the requirements with its version and hashes, as it stands there."""
    text = REQUIREMENTS.read_text(encoding="utf-8")
    found = re.findall(r"^(?:[a-z][^\n]*\n(?:    [^\n]*\n)*)", text, re.MULTILINE)
    return {re.split(r"[=\[ ]", pin, maxsplit=1)[0]: pin for pin in found}


def _trim(packages: Path) -> None:
    """Drop what no function uses: other services' models, caches, scripts."""
    if (packages / "botocore").exists():
        for service in (packages / "botocore" / "data").iterdir():
            if service.is_dir() and service.name not in AWS_SERVICES:
                shutil.rmtree(service)
    for cached in packages.rglob("__pycache__"):
        shutil.rmtree(cached)
    shutil.rmtree(packages / "bin", ignore_errors=True)
    (packages / ".lock").unlink(missing_ok=True)
