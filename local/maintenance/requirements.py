"""`make requirements`: compile requirements/*.in to pinned, hashed files that name no package index.

dev.txt is compiled first. It constrains the requirements of functions and listener, so that versions are the same.
"""

from __future__ import annotations

import subprocess
import sys

from local.stack.checkout import ROOT

OPTIONS = (
    "--quiet",
    "--universal",
    "--generate-hashes",
    "--python-version",
    "3.11",
    "--no-emit-index-url",
    "--no-header",
)


def main() -> int:
    """Compile each file. Arguments, e.g. `--upgrade`, are passed to uv. Return the exit status."""
    for name in ("dev", "functions", "listener", "ministack", "node", "comparison", "runtime"):
        command = [sys.executable, "-m", "uv", "pip", "compile", *OPTIONS, *sys.argv[1:]]
        if name in ("functions", "listener"):
            command += ["--constraint", "requirements/dev.txt"]
        command += [f"requirements/{name}.in", "--output-file", f"requirements/{name}.txt"]
        if code := subprocess.run(command, cwd=ROOT, check=False).returncode:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
