"""`make picture`: record docs/running.svg, a picture of `chaincast dev` and `tail` running in tmux."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import time

from rich.console import Console
from rich.text import Text

from local.stack.checkout import CHAINCAST, ROOT, free_port

SIZE = ("-x", "118", "-y", "30")
TIMEOUT_SECONDS = 120


def tmux(*arguments: str) -> str:
    """Run a tmux command on a server of its own, and return its output."""
    return subprocess.run(["tmux", "-L", "record", *arguments], capture_output=True, text=True, check=False).stdout  # noqa: S607


def screen(session: str) -> str:
    """Return the text on a session's screen, with colours as escape sequences."""
    return tmux("capture-pane", "-e", "-p", "-t", session)


def wait_for(session: str, text: str, count: int = 1) -> None:
    """Wait until a text is on a session's screen `count` times. Raises `TimeoutError`."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while screen(session).count(text) < count:
        if time.monotonic() > deadline:
            raise TimeoutError(f"session {session} did not show {text!r} in {TIMEOUT_SECONDS} s:\n{screen(session)}")
        time.sleep(0.2)


def main() -> int:
    """Record the picture. Return 0."""
    port, node_port, console_port = (str(free_port()) for _ in range(3))
    ports = f"--port {port} --node-port {node_port} --console-port {console_port}"
    tmux("new-session", "-d", "-s", "dev", *SIZE, f"{CHAINCAST} dev {ports}")
    default_ports = {port: "4566", node_port: "8545", console_port: "4580"}
    try:
        wait_for("dev", "Ctrl-C")
        topics = "--topic 'trades:*:*' --topic 'tokens:*'"
        tmux("new-session", "-d", "-s", "tail", *SIZE, f"{CHAINCAST} tail --port {port} {topics}")
        wait_for("tail", "trade", 16)
        screens = {}
        for name in ("dev", "tail"):
            screens[name] = screen(name).rstrip()
            for actual, default in default_ports.items():
                screens[name] = screens[name].replace(actual, default)
    finally:
        tmux("send-keys", "-t", "dev", "C-c")
        time.sleep(3)
        tmux("kill-server")
    console = Console(record=True, width=118, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    for command, name in (("make dev", "dev"), (f'make tail ARGS="{topics}"', "tail")):
        console.print(Text(f"$ {command}", style="bold"))
        console.print(Text.from_ansi(screens[name]))
        console.print()
    svg = console.export_svg(title="chaincast")
    # Without font faces the picture uses the reader's own fonts, and a README that contains it loads nothing else.
    svg = re.sub(r"@font-face \{.*?\}\s*|<!-- Generated.*?-->\s*", "", svg, flags=re.DOTALL)
    (ROOT / "docs" / "running.svg").write_text(svg)
    return 0


if __name__ == "__main__":
    sys.exit(main())
