from __future__ import annotations

import tomllib
from pathlib import Path

from chaincast.version import VERSION


def test_what_functions_say_is_the_projects_version() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION
