"""`chaincast dev`: start everything, show each step, say where things are, wait, stop everything."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.table import Table

from chaincast.config.load import load
from chaincast.config.network import url_variable
from local.stack.deployment import Emulator, run_directory
from local.stack.stack import LocalStack, Options
from local.stack.swap import only_code_changed, swap_code
from local.stack.tools import PYTHON, ROOT, StepFailed, port_taken

WATCH_SECONDS = 0.2
URL_FILE = "websocket-url"
RESTART_FILE = "restart-listener"
RESTART_SECONDS = 40.0


def run(options: argparse.Namespace) -> int:
    """The whole stack until Ctrl-C or SIGTERM; 1 if one of its processes ends by itself."""
    console = Console(quiet=options.quiet, highlight=False)
    # A hang-up and a supervisor's SIGTERM stop the children as Ctrl-C does; and a shell's background job would
    # ignore SIGINT.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    started = time.monotonic()
    stack = LocalStack(_stack_options(options), lambda name: _step(console, name))
    try:
        with stack:
            (stack.run / URL_FILE).write_text(stack.outputs.websocket_url)
            _announce(console, stack, time.monotonic() - started)
            if options.quiet:
                print(stack.outputs.websocket_url, flush=True)
            return _watch(stack, console)
    except KeyboardInterrupt:
        return 0
    finally:
        (stack.run / URL_FILE).unlink(missing_ok=True)
        console.print("stopped")


def redeploy(options: argparse.Namespace) -> int:
    """Bring the code as it is now to the stack that runs on the port: functions, then the listener."""
    if not port_taken(options.port):
        raise StepFailed("redeploy", f"nothing runs on port {options.port}", "start the stack first: make dev")
    console = Console(highlight=False)
    run = run_directory(options.port)
    emulator = Emulator(options.port, run, auth=False)
    if only_code_changed(run):
        with _step(console, "functions: new code"):
            swap_code(emulator.endpoint)
    else:
        with _step(console, "cdk deploy"):
            emulator.deploy()
    with _step(console, "listener"):
        # It is a child of `chaincast dev`, which restarts it and takes the request away when it is up.
        request = run / RESTART_FILE
        request.touch()
        deadline = time.monotonic() + RESTART_SECONDS
        while request.exists():
            if time.monotonic() > deadline:
                raise StepFailed("redeploy", "the listener was not restarted", "look at the terminal of `make dev`")
            time.sleep(0.05)
    return 0


def _stack_options(options: argparse.Namespace) -> Options:
    config = load(ROOT / "chaincast.toml")
    networks = config.networks
    network = options.network or ("anvil" if options.rpc is None else _only_real_network(networks))
    if network not in networks:
        raise StepFailed("dev", f"chaincast.toml has no network {network!r}", f"it has: {', '.join(networks)}")
    return Options(
        port=options.port,
        node_port=options.node_port,
        console_port=options.console_port,
        network=network,
        # With a node of one's own, its network only; else all that are switched on and say how they are reached.
        others=tuple(
            name
            for name, other in config.deployed_networks(local=True).items()
            if name != network and options.rpc is None and (other.rpc_url or os.environ.get(url_variable(name)))
        ),
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
    where.add_row("[bold]Live console[/]", f"[bold cyan]http://127.0.0.1:{options.console_port}/[/]")
    where.add_row("[bold]WebSocket[/]", f"[bold cyan]{stack.outputs.websocket_url}[/]")
    where.add_row("AWS", f"{stack.emulator.endpoint} (any key; region us-east-1)")
    where.add_row("EVM node", options.rpc or f"{stack.node.ws_url} (chain 31337, a block a second)")
    where.add_row("logs", f"{stack.run.relative_to(ROOT)}/*.log")
    console.print(f"\nready in {seconds:.0f} s")
    console.print(where)
    command = f"{PYTHON.removeprefix(str(ROOT) + '/').rpartition('/')[0]}/chaincast tail --topic 'trades:*:*'"
    console.print(f"\nwatch:  make tail   or   {command}\nafter a change of code:  make redeploy\nstop:   Ctrl-C\n")


def _watch(stack: LocalStack, console: Console) -> int:
    request = stack.run / RESTART_FILE
    while True:
        if request.exists():
            with _step(console, "listener restarted"):
                stack.stop_child(next(child for child in stack.children if child.name == "listener"))
                stack.start_listener()
            request.unlink()
        for child in stack.children:
            if not child.running:
                print(f"chaincast: {child.name} ended by itself; its last words:\n{child.tail()}", file=sys.stderr)
                return 1
        time.sleep(WATCH_SECONDS)
