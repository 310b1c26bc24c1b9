"""Copies of this checkout, for tests that change code and deploy it while other tests deploy the unchanged code."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from local.stack.checkout import PYTHON, ROOT

CHAINCAST_MODULE = (PYTHON, "-m", "local")
"""`chaincast` of the working directory, which `-m` imports first; the script `chaincast` is of this checkout."""
REDEPLOY_SECONDS = 400

_CHANGED = ("chaincast", "functions", "infra", "listener", "local", "chaincast.toml")
"""The files that tests change, and those that import them. Everything else of a copy is a link to the checkout.

`.build` may be shared, because the names of what is built contain a digest of its inputs.
"""


@dataclass(frozen=True, slots=True)
class CheckoutCopy:
    """A copy of this checkout in a directory of its own."""

    root: Path

    @classmethod
    def create(cls, root: Path) -> CheckoutCopy:
        """Copy this checkout to a directory that does not exist yet."""
        root.mkdir(parents=True)
        for source in ROOT.iterdir():
            target = root / source.name
            if source.name not in _CHANGED:
                target.symlink_to(source)
            elif source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
        return cls(root)

    def redeploy(self, port: int) -> subprocess.CompletedProcess[str]:
        """Run the copy's `chaincast redeploy` for the stack on a port."""
        command = [*CHAINCAST_MODULE, "redeploy", "--port", str(port)]
        return subprocess.run(
            command, cwd=self.root, capture_output=True, text=True, timeout=REDEPLOY_SECONDS, check=False
        )

    def deploy(self, port: int) -> None:
        """Deploy the copy with the CDK to the stack on a port."""
        code = (
            "from local.stack.deployment import Emulator, run_directory\n"
            f"Emulator({port}, run_directory({port}), enforce_iam=True).deploy()"
        )
        subprocess.run([PYTHON, "-c", code], cwd=self.root, check=True, timeout=REDEPLOY_SECONDS)

    def replace(self, file: str, before: str, after: str) -> None:
        """Replace a text that occurs in a file of the copy."""
        path = self.root / file
        text = path.read_text()
        assert before in text, f"{file} does not contain {before!r}"
        path.write_text(text.replace(before, after))

    def append(self, file: str, text: str) -> None:
        """Add a text to the end of a file of the copy."""
        with (self.root / file).open("a") as opened:
            opened.write(text)
