"""`chaincast dev`: start everything, show each step, say where things are, wait, stop everything."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.table import Table

from chaincast.config import load
from local.deployment import Emulator, run_directory
from local.stack import LocalStack, Options
from local.tools import PYTHON, ROOT, StepFailed, port_taken

WATCH_SECONDS = 0.5
URL_FILE = "websocket-url"


def run(options: argparse.Namespace) -> int:
    """The whole stack until Ctrl-C or SIGTERM; 1 if one of its processes ends by itself."""
    console = Console(quiet=options.quiet, highlight=False)
    # A terminal's hang-up and a supervisor's SIGTERM stop the children as Ctrl-C does.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    started = time.monotonic()
    stack = LocalStack(_stack_options(options), lambda name: _step(console, name))
    try:
        with stack:
            (stack.run / URL_FILE).write_text(stack.outputs.websocket_url)
            _announce(console, stack, time.monotonic() - started)
            if options.quiet:
                print(stack.outputs.websocket_url, flush=True)
            return _watch(stack)
    except KeyboardInterrupt:
        return 0
    finally:
        (stack.run / URL_FILE).unlink(missing_ok=True)
        console.print("stopped")


def redeploy(options: argparse.Namespace) -> int:
    """Deploy the code as it is now to the stack that runs on the port."""
    if not port_taken(options.port):
        raise StepFailed("redeploy", f"nothing runs on port {options.port}", "start the stack first: make dev")
    console = Console(highlight=False)
    with _step(console, "cdk deploy"):
        Emulator(options.port, run_directory(options.port), auth=False).deploy()
    return 0


def _stack_options(options: argparse.Namespace) -> Options:
    networks = load(ROOT / "chaincast.toml").networks
    network = options.network or ("anvil" if options.rpc is None else _only_real_network(networks))
    if network not in networks:
        raise StepFailed("dev", f"chaincast.toml has no network {network!r}", f"it has: {', '.join(networks)}")
    return Options(
        port=options.port,
        node_port=options.node_port,
        network=network,
        rpc=options.rpc,
        auth=options.auth,
        seed=options.seed,
    )


def _only_real_network(networks: object) -> str:
    assert isinstance(networks, dict)
    real = [name for name, network in networks.items() if not network.local]
    if len(real) != 1:
        known = ", ".join(real) or "none but the local one"
        raise StepFailed("dev", f"which network is that node of? chaincast.toml has: {known}", "say --network NAME")
    return str(real[0])


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


@contextmanager
def _step(console: Console, name: str) -> Iterator[None]:
    started = time.monotonic()
    with console.status(f"{name} …"):
        yield
    console.print(f"[green]✓[/] {name} [dim]{time.monotonic() - started:.1f} s[/]")


def _announce(console: Console, stack: LocalStack, seconds: float) -> None:
    options = stack.options
    where = Table.grid(padding=(0, 2))
    where.add_row("[bold]WebSocket[/]", f"[bold cyan]{stack.outputs.websocket_url}[/]")
    where.add_row("AWS", f"{stack.emulator.endpoint} (any key; region us-east-1)")
    where.add_row("EVM node", options.rpc or f"{stack.node.ws_url} (chain 31337, a block a second)")
    where.add_row("logs", f"{stack.run.relative_to(ROOT)}/*.log")
    console.print(f"\nready in {seconds:.0f} s")
    console.print(where)
    command = f"{PYTHON.removeprefix(str(ROOT) + '/').rpartition('/')[0]}/chaincast tail --topic 'trades:*:*'"
    console.print(
        f"\nwatch:  make tail   or   {command}\nafter a change of a function:  make redeploy\nstop:   Ctrl-C\n"
    )


def _watch(stack: LocalStack) -> int:
    while True:
        for child in stack.children:
            if not child.running:
                print(f"chaincast: {child.name} ended by itself; its last words:\n{child.tail()}", file=sys.stderr)
                return 1
        time.sleep(WATCH_SECONDS)
