"""`make picture` records docs/running.svg: `chaincast dev` and `tail`, really run in tmux, as text."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import time

from rich.console import Console
from rich.text import Text

from local.stack.tools import CHAINCAST, ROOT, free_port

SIZE = ("-x", "118", "-y", "30")
SECONDS = 120


def tmux(*arguments: str) -> str:
    return subprocess.run(["tmux", "-L", "record", *arguments], capture_output=True, text=True, check=False).stdout  # noqa: S607


def screen(session: str) -> str:
    return tmux("capture-pane", "-e", "-p", "-t", session)


def wait_for(session: str, text: str, count: int = 1) -> None:
    deadline = time.monotonic() + SECONDS
    while screen(session).count(text) < count:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{session} never showed {text!r}:\n{screen(session)}")
        time.sleep(0.2)


def main() -> int:
    port, node_port, console_port = (str(free_port()) for _ in range(3))
    ports = f"--port {port} --node-port {node_port} --console-port {console_port}"
    tmux("new-session", "-d", "-s", "dev", *SIZE, f"{CHAINCAST} dev {ports}")
    usual = {port: "4566", node_port: "8545", console_port: "4580"}
    try:
        wait_for("dev", "Ctrl-C")
        topics = "--topic 'trades:*:*' --topic 'tokens:*'"
        tmux("new-session", "-d", "-s", "tail", *SIZE, f"{CHAINCAST} tail --port {port} {topics}")
        wait_for("tail", "trade", 16)
        shown = {}
        for name in ("dev", "tail"):
            shown[name] = screen(name).rstrip()
            for ours, theirs in usual.items():
                shown[name] = shown[name].replace(ours, theirs)
    finally:
        tmux("send-keys", "-t", "dev", "C-c")
        time.sleep(3)
        tmux("kill-server")
    console = Console(record=True, width=118, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    for command, name in (("make dev", "dev"), (f'make tail ARGS="{topics}"', "tail")):
        console.print(Text(f"$ {command}", style="bold"))
        console.print(Text.from_ansi(shown[name]))
        console.print()
    svg = console.export_svg(title="chaincast")
    # Fonts are the reader's own: a picture in a README fetches nothing.
    svg = re.sub(r"@font-face \{.*?\}\s*|<!-- Generated.*?-->\s*", "", svg, flags=re.DOTALL)
    (ROOT / "docs" / "running.svg").write_text(svg)
    return 0


if __name__ == "__main__":
    sys.exit(main())
