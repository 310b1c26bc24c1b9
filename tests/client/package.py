"""The TypeScript package of client/, and npm to run its scripts with."""

from __future__ import annotations

import fcntl
import hashlib
import subprocess

from local.stack.checkout import BUILD, ROOT, node_environment

CLIENT = ROOT / "client"


def npm(*arguments: str) -> str:
    """Run npm and return its output. Fail if npm does."""
    command = ["npm", "--silent", *arguments]
    done = subprocess.run(command, cwd=CLIENT, env=node_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-8000:]
    return done.stdout


def build() -> None:
    """`npm run build`, unless client/dist is of these sources already: others may be reading it, side by side."""
    made_of = [*sorted((CLIENT / "src").iterdir()), CLIENT / "build.mjs", CLIENT / "package-lock.json"]
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in made_of)).hexdigest()
    BUILD.mkdir(exist_ok=True)
    with (BUILD / "client-dist").open("a+") as made:
        fcntl.flock(made, fcntl.LOCK_EX)
        made.seek(0)
        if made.read() != digest or not (CLIENT / "dist" / "chaincast-client.min.js").exists():
            npm("run", "build")
            made.truncate(0)
            made.write(digest)
