"""The pre-commit hooks, as `make hooks` installs them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_hooks_pass_on_a_commit() -> None:
    """Those of style; the others are what other tests and `make check` run."""
    command = [sys.executable, "-m", "pre_commit", "run", "--color", "never", "--files", "local/cli.py", "README.md"]
    done = subprocess.run([*command, "ruff"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Passed" in done.stdout


def test_they_can_be_installed(tmp_path: Path) -> None:
    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("/usr/bin/env", "git", "init", "--quiet")
    (tmp_path / ".pre-commit-config.yaml").write_text((ROOT / ".pre-commit-config.yaml").read_text())
    run(sys.executable, "-m", "pre_commit", "validate-config")
    run(sys.executable, "-m", "pre_commit", "install")
    assert {"pre-commit", "pre-push"} <= {hook.name for hook in (tmp_path / ".git" / "hooks").iterdir()}


def test_their_tools_are_ours() -> None:
    text = (ROOT / ".pre-commit-config.yaml").read_text()
    assert set(re.findall(r"repo: (\S+)", text)) == {"local"}
    entries = re.findall(r"entry: (\S+)", text)
    assert entries
    for entry in entries:
        assert (ROOT / entry).exists(), entry
