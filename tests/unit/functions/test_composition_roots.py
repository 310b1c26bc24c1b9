"""Tests that functions only compose handlers, which need no environment variables themselves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
MAX_LINES = 40
COMPOSED = tuple(path.stem for path in (ROOT / "functions").glob("*.py") if "def handler(" in path.read_text())
HANDLERS = (
    "chaincast.auth.ticket_handler",
    "chaincast.eventlog.archive_handler",
    "chaincast.fanout.worker",
    "chaincast.jobs.lifecycle_handler",
    "chaincast.publishing.http_handler",
    "chaincast.publishing.kafka_handler",
    "chaincast.replay.lifecycle_factory",
    "chaincast.sessions.admin_handler",
    "chaincast.sessions.connect_handler",
    "chaincast.sessions.disconnect_handler",
    "chaincast.sessions.heartbeat_handler",
    "chaincast.sessions.message_factory",
    "chaincast.status.status_handler",
)


@pytest.mark.parametrize("name", COMPOSED)
def test_a_composition_root_is_short_and_defines_nothing_but_the_handler(name: str) -> None:
    lines = (ROOT / "functions" / f"{name}.py").read_text().splitlines()
    assert len(lines) <= MAX_LINES
    assert [line for line in lines if line.startswith(("def ", "class ", "async def "))] == [
        line for line in lines if line.startswith("def handler(")
    ]


def test_handlers_are_imported_without_environment_variables() -> None:
    code = f"import {', '.join(HANDLERS)}"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
