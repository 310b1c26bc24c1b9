"""Read `chaincast.toml`: parse the TOML and validate it. Errors name file, line, value and rule."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from chaincast.config.model import Config
from chaincast.config.section import FOLDER
from chaincast.errors import ConfigError

_HEADER = re.compile(r"\s*(\[\[?)\s*([^\]#]+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(r"""\s*([A-Za-z0-9_.\-"']+)\s*=""")


def load(path: Path) -> Config:
    """Return the configuration in a file. Raise `ConfigError` if the file is missing or not valid."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: no such file; the configuration is chaincast.toml in the project's root folder"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    return parse(text, str(path), path.parent)


def parse(text: str, name: str = "chaincast.toml", folder: Path = Path()) -> Config:
    """Return the configuration in `text`. Raise `ConfigError` if it is not valid.

    `name`: name of the file in errors. `folder`: folder to which file names in the configuration are relative.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name}: not TOML: {error}") from None
    try:
        return Config.model_validate(document, context={FOLDER: folder})
    except ValidationError as error:
        errors = error.errors(include_url=False)
        raise ConfigError("\n".join(_describe_error(text, name, item) for item in errors)) from None


def _describe_error(text: str, name: str, error: ErrorDetails) -> str:
    # Pydantic's location also names alternatives of unions and keys of dictionaries, which are not in the file.
    path = [
        p for p in error["loc"] if isinstance(p, int) or not re.match(r"literal\[|constrained-|function-|\[key\]", p)
    ]
    where = ".".join(str(p) for p in path) or "file"
    line = line_of(text, path)
    if error["type"] == "extra_forbidden":
        return f"{name}:{line}: {where}: unknown key; allowed: {', '.join(_allowed(path[:-1]))}"
    value = "" if error["type"] == "missing" or isinstance(error["input"], dict) else f" = {error['input']!r}"
    return f"{name}:{line}: {where}{value}: {error['msg'].removeprefix('Value error, ')}"


def _allowed(path: Sequence[str | int]) -> list[str]:
    """Return the keys that the model allows in the table at `path`."""
    from pydantic import BaseModel

    def fields(model: type[BaseModel], rest: Sequence[str | int]) -> list[str]:
        if not rest:
            return list(model.model_fields)
        found = _nested_model(model.model_fields[str(rest[0])].annotation)
        # A network's name or the index in an array is one more part of the path.
        skip = 2 if len(rest) > 1 and str(rest[0]) in ("networks", "contracts") else 1
        return fields(found, rest[skip:]) if found else []

    return fields(Config, path)


def _nested_model(annotation: object) -> type | None:
    from pydantic import BaseModel

    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        if (found := _nested_model(argument)) is not None:
            return found
    return None


def line_of(text: str, path: Sequence[str | int]) -> int:
    """Return the line (from 1) of the key at `path`, else of the nearest table around it, else 1."""
    best, best_depth = 1, 0
    table: list[str | int] = []
    counts: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            bracket, dotted = header.group(1), header.group(2)
            table = [p.strip("\"' ") for p in dotted.split(".")]
            if bracket == "[[":
                counts[dotted] = counts.get(dotted, -1) + 1
                table.append(counts[dotted])
            here = table
        elif key := _KEY.match(line):
            here = [*table, *(p.strip("\"' ") for p in key.group(1).split("."))]
        else:
            continue
        depth = len(here)
        if list(path[:depth]) == here and depth > best_depth:
            best, best_depth = number, depth
    return best
