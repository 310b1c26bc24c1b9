"""docs/adding-events.md, done to a copy of the project as it says."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
GUIDE = ROOT / "docs" / "adding-events.md"


def git() -> str:
    found = shutil.which("git")
    assert found is not None
    return found


def test_the_guide_adds_an_event_kind(tmp_path: Path) -> None:
    copied = (
        "chaincast",
        "listener",
        "abis",
        "pyproject.toml",
        "tests/factories.py",
        "tests/unit/listener",
        "tests/conftest.py",
    )
    for name in copied:
        source, target = ROOT / name, tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    text = GUIDE.read_text()
    files = re.findall(r"```python (\S+)\n(.*?)```", text, re.DOTALL)
    for name, content in files:
        (tmp_path / name).write_text(content)
    diffs = "".join(re.findall(r"```diff\n(.*?)```", text, re.DOTALL))
    for diff in re.split(r"^(?=--- a/)", diffs, flags=re.MULTILINE)[1:]:
        command = [git(), "apply", "--recount", "-"]
        applied = subprocess.run(command, cwd=tmp_path, input=diff, capture_output=True, text=True, check=False)
        assert applied.returncode == 0, applied.stderr + diff
    names = [name for name, _ in files]
    check = [
        ["-m", "pytest", "-q", "-p", "no:cacheprovider", names[-1]],
        [
            "-m",
            "mypy",
            "--config-file",
            "pyproject.toml",
            *names,
            "listener/adapters/__init__.py",
            "chaincast/protocol/dialects/socketio/kaspump.py",
        ],
        ["-m", "ruff", "check", *names],
        ["-m", "ruff", "format", "--check", *names],
    ]
    for command in check:
        done = subprocess.run([sys.executable, *command], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
