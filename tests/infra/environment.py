"""The environment variables that a function reads, found by parsing the code that it imports."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path

from chaincast.aws import environment
from infra.imports import imports_of
from local.stack.checkout import ROOT

VARIABLES = {name: value for name, value in vars(environment).items() if name.isupper() and isinstance(value, str)}
"""Constant of chaincast/aws/environment.py → name of the variable."""

DEFINITIONS = Path("chaincast/aws/environment.py")
COMPOSITION = Path("functions/composition.py")
"""Several functions import this module, each for some of its functions only."""


def variables_read(name: str) -> set[str]:
    """Return the variables that `functions/{name}.py`, and the modules that it imports, read by constant."""
    variables: set[str] = set()
    files = imports_of(name).files - {DEFINITIONS}
    for file in files:
        tree = _parse(file)
        variables |= (
            _variables_in(tree, _imported_from_composition(files)) if file == COMPOSITION else _variables_in(tree)
        )
    return variables


def _variables_in(tree: ast.Module, functions: set[str] | None = None) -> set[str]:
    """Return the variables whose constants occur in a module, or only in some of its functions."""
    parts = tree.body if functions is None else [n for n in tree.body if getattr(n, "name", "") in functions]
    names = {
        node.id if isinstance(node, ast.Name) else node.attr
        for part in parts
        for node in ast.walk(part)
        if isinstance(node, ast.Name) or (isinstance(node, ast.Attribute) and _is_environment(node.value))
    }
    return {VARIABLES[name] for name in names & VARIABLES.keys()}


def _is_environment(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "environment"


def _imported_from_composition(files: Iterable[Path]) -> set[str]:
    """Return the functions of the shared module that a function's own modules import."""
    return {
        alias.name
        for file in files
        for node in ast.walk(_parse(file))
        if isinstance(node, ast.ImportFrom) and node.module == "functions.composition"
        for alias in node.names
    }


def _parse(file: Path) -> ast.Module:
    return ast.parse((ROOT / file).read_text(encoding="utf-8"))
