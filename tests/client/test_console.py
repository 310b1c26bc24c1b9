"""The live console: its types, and the tests of what decides."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from local.stack.checkout import ROOT, node_environment
from tests.client.package import CLIENT

CONSOLE = ROOT / "console"


def run(*command: str) -> str:
    done = subprocess.run(command, cwd=CONSOLE, env=node_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_types_hold() -> None:
    run(str(CLIENT / "node_modules" / ".bin" / "tsc"), "-p", ".")


def test_its_own_tests_pass() -> None:
    assert re.search(r"# pass [1-9]", run("node", "test.mjs"))


def test_it_is_four_files_and_fetches_nothing_of_others(tmp_path: Path) -> None:
    run("node", "build.mjs", str(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {"index.html", "style.css", "icon.svg", "main.js"}
    page = (tmp_path / "index.html").read_text()
    assert "default-src 'none'" in page
    assert not re.search(r'(?:src|href)="https?://(?!www\.tradingview\.com)', page)
