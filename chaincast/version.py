"""The version of this code. It equals the one in pyproject.toml, which is not part of a function's files."""

from typing import Final

VERSION: Final = "0.1.0"
