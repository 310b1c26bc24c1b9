"""Tests that a function's assets contain the modules and packages that it imports, and no others."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from infra import bundling
from infra.bundling import LAYERS, REQUIREMENTS, layers_of
from infra.imports import imports_of
from tests.infra.conftest import Template
from tests.infra.reading import of_type
from tests.infra.test_template import FUNCTIONS

ELF_AARCH64 = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00\xb7\x00"
"""The first bytes of a shared library for 64-bit Arm (ELF specification: e_ident, e_type, e_machine)."""


def asset(assembly: Path, code: dict[str, Any]) -> Path:
    """Return the folder of an asset, given the S3 location that the template has for it."""
    key = code["S3Key"]
    return assembly / f"asset.{key.removesuffix('.zip')}"


def layers(template: Template, assembly: Path) -> list[Path]:
    return [asset(assembly, layer["Content"]) for layer in of_type(template, "AWS::Lambda::LayerVersion").values()]


def code_of(template: Template, assembly: Path, module: str) -> Path:
    resources = of_type(template, "AWS::Lambda::Function").values()
    return next(asset(assembly, f["Code"]) for f in resources if f["Handler"] == f"functions.{module}.handler")


def test_layers_hold_packages_for_arm64_and_only_the_services_that_are_called(
    template: Template, assembly: Path
) -> None:
    folders = layers(template, assembly)
    assert len(folders) == len(LAYERS)
    binaries = [binary for layer in folders for binary in layer.rglob("*.so")]
    assert len(binaries) > 3
    assert {binary.read_bytes()[:20] for binary in binaries} == {ELF_AARCH64}
    (data,) = [layer / "python" / "botocore" / "data" for layer in folders if (layer / "python" / "botocore").exists()]
    services = {d.name for d in data.iterdir() if d.is_dir()}
    assert services == {"apigatewaymanagementapi", "dynamodb", "s3", "secretsmanager", "sqs"}


def test_every_package_is_in_one_layer() -> None:
    pinned = set(re.findall(r"^([a-z][\w-]*)==", REQUIREMENTS.read_text(), re.MULTILINE))
    placed = [package for packages in LAYERS.values() for package in packages]
    assert sorted(placed) == sorted(pinned)


@pytest.mark.parametrize("module", sorted(FUNCTIONS))
def test_a_function_has_its_own_code_and_no_other(template: Template, assembly: Path, module: str) -> None:
    code = code_of(template, assembly, module)
    files = {path.relative_to(code) for path in code.rglob("*.py")}
    assert files == imports_of(module).files
    assert {path.name for path in code.glob("functions/*.py")} >= {f"{module}.py", "__init__.py"}
    assert (code / "pages").exists() == (module == "status")
    assert (code / "kinds.json").exists() is False, "this configuration has none of its own"
    compiled = {path.name.partition(".")[0] for path in code.rglob("*.pyc")}
    assert compiled == ({path.stem for path in files} if bundling.interpreter("3.13") else set())
    assert len(layers_of(module)) <= 5


def test_functions_that_publish_have_the_teams_own_kinds(jwt_template: Template, assembly: Path) -> None:
    for module in ("http", "fanout"):
        code = bundling.code_directory(module, {"game.scored": {"type": "object"}}, "{}", "3.13")
        kinds = code / "kinds.json"
        assert kinds.exists() == (module == "http")
        if kinds.exists():
            assert json.loads(kinds.read_text()) == {"game.scored": {"type": "object"}}


def test_code_is_built_once_for_the_same_inputs_even_by_concurrent_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    first = bundling.code_directory("http", {}, "{}", "3.13")
    made = first.stat().st_ino
    assert bundling.code_directory("http", {}, "other settings, which it has not", "3.13").stat().st_ino == made
    assert bundling.code_directory("http", {"game.scored": {"type": "object"}}, "{}", "3.13") != first
    monkeypatch.setattr(Path, "exists", lambda self: self != first and os.path.exists(self))
    with pytest.raises(OSError, match=first.name):  # the rename failed although no other process created the target
        bundling.code_directory("http", {}, "{}", "3.13")
    monkeypatch.undo()
    with bundling.atomic_directory(first) as late:
        pass
    assert (first.stat().st_ino, late.exists()) == (made, False)


def test_modules_are_found_however_they_are_imported() -> None:
    assert Path("chaincast/protocol/dialects/moonx/codec.py") in imports_of("fanout").files, "named in a string"
    assert Path("chaincast/sessions/cleanup.py") in imports_of("fanout").files, "imported inside of a function"
    assert Path("chaincast/publishing/service.py") not in imports_of("fanout").files
    assert "aws_lambda_powertools.utilities.typing" not in imports_of("disconnect").others, "for type checkers only"
    assert layers_of("disconnect") == layers_of("archive") == ("base",)
    assert layers_of("fanout") == layers_of("lifecycle") == ("base", "transport")
    assert layers_of("message") == ("base", "models", "tokens"), "the only function that decodes client messages"
    assert "tokens" in layers_of("connect")
    assert "metrics" in layers_of("status")
