"""The version of this code: pyproject.toml's, which is not among a function's files."""

from typing import Final

VERSION: Final = "0.1.0"
