"""The TypeScript package of client/, and npm to run its scripts with."""

from __future__ import annotations

import subprocess

from local.tools import ROOT, node_environment

CLIENT = ROOT / "client"


def npm(*arguments: str) -> str:
    """What npm prints; it must succeed."""
    command = ["npm", "--silent", *arguments]
    done = subprocess.run(command, cwd=CLIENT, env=node_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-8000:]
    return done.stdout
