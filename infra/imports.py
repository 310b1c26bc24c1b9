"""The modules that a function imports, directly and indirectly, found by parsing the code.

A function's asset contains these files and no others. Imports for type checkers alone are left out. Imports inside of
functions count, and so do modules that are named in a string (`"chaincast.protocol.dialects.moonx.codec"`) and imported
by that name. Modules `dialects.*.messages` (pydantic decoders) are bundled only into functions that import one of them
directly.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from infra.settings import ROOT

OURS = ("chaincast", "functions")
_DECODER = re.compile(r"chaincast\.protocol\.dialects\.\w+\.messages\b.*")
_NAME = re.compile(r"(?:chaincast|functions)(?:\.\w+)+")


@dataclass(frozen=True, slots=True)
class Imports:
    """The imports of a function: files of this project (relative paths), and full names of all other modules."""

    files: frozenset[Path]
    others: frozenset[str]


@cache
def imports_of(module: str) -> Imports:
    """Return all modules that `functions.{module}` may import, when it is loaded or when it runs."""
    files: set[Path] = set()
    others: set[str] = set()
    left = ["functions", f"functions.{module}"]
    has_decoders = any(_DECODER.fullmatch(name) for name in _names(Path("functions", f"{module}.py")))
    while left:
        path = _file(left.pop())
        if path is None or path in files:
            continue
        files.add(path)
        for name in _names(path):
            if _DECODER.match(name) and not has_decoders:
                continue
            if name.partition(".")[0] not in OURS:
                others.add(name)
                continue
            parts = name.split(".")
            left += [".".join(parts[:length]) for length in range(1, len(parts) + 1)]
    return Imports(frozenset(files), frozenset(others))


@cache
def _file(name: str) -> Path | None:
    """Return the file of a module of this project, relative to it; None if `name` is an attribute of a module."""
    path = Path(*name.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if (ROOT / candidate).exists():
            return candidate
    return None


@cache
def _names(path: Path) -> tuple[str, ...]:
    return tuple(_visit(ast.parse((ROOT / path).read_text(encoding="utf-8"))))


def _visit(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.If(test=ast.Name(id="TYPE_CHECKING"), orelse=orelse):
            for statement in orelse:
                yield from _visit(statement)
            return
        case ast.Import(names=names):
            yield from (alias.name for alias in names)
        case ast.ImportFrom(module=str(module), names=names):
            yield module
            yield from (f"{module}.{alias.name}" for alias in names)
        case ast.Constant(value=str(text)) if _NAME.fullmatch(text):
            yield text
    for child in ast.iter_child_nodes(node):
        yield from _visit(child)
