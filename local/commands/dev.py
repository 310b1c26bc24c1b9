"""`chaincast dev` and `redeploy`: run the local stack until Ctrl-C, and update it while it runs."""

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
from local.errors import StepFailed
from local.stack.checkout import PYTHON, ROOT, port_taken
from local.stack.code_update import only_code_changed, update_functions
from local.stack.deployment import URL_FILE, Emulator, run_directory
from local.stack.local_stack import LocalStack, StackOptions
from local.terminal import Terminal

WATCH_SECONDS = 0.2
RESTART_FILE = "restart-listener"
"""File in the run directory by which `redeploy` asks `dev` to restart the listener. `dev` deletes it when done."""
RESTART_SECONDS = 40.0
LEASE_LOST = 4
"""Exit code of a listener that has lost its lease (listener/__main__.py)."""


def run(options: argparse.Namespace) -> int:
    """Run the stack until Ctrl-C or SIGTERM. Return 1 if one of its processes ends unexpectedly, else 0."""
    console = Terminal(quiet=options.quiet, highlight=False)
    # A hang-up and SIGTERM stop the children as Ctrl-C does. SIGINT needs a handler as well, because shells make
    # background jobs ignore it.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    started = time.monotonic()
    stack = LocalStack(_stack_options(options), lambda name: _step(console, name))
    try:
        with stack:
            url_file = stack.directory / URL_FILE
            url_file.write_text(stack.outputs.websocket_url)
            try:
                _announce(console, stack, time.monotonic() - started)
                if options.quiet:
                    print(stack.outputs.websocket_url, flush=True)
                return _watch(stack, console)
            finally:
                url_file.unlink(missing_ok=True)
    except KeyboardInterrupt:
        return 0
    finally:
        console.print("stopped")


def redeploy(options: argparse.Namespace) -> int:
    """Update the stack on the port to the current code: first the functions, then the listener."""
    if not port_taken(options.port):
        raise StepFailed("redeploy", f"no stack runs on port {options.port}", "start it first with make dev")
    console = Terminal(highlight=False)
    directory = run_directory(options.port)
    emulator = Emulator(options.port, directory, enforce_iam=False)
    if only_code_changed(directory):
        with _step(console, "functions: new code"):
            update_functions(emulator.endpoint)
    else:
        with _step(console, "cdk deploy"):
            emulator.deploy()
    with _step(console, "listener"):
        # The listener is a child of `chaincast dev`, which restarts it and then deletes this file.
        request = directory / RESTART_FILE
        request.touch()
        deadline = time.monotonic() + RESTART_SECONDS
        while request.exists():
            if time.monotonic() > deadline:
                why = f"the listener was not restarted within {RESTART_SECONDS:.0f} s"
                raise StepFailed("redeploy", why, "look at the terminal of `make dev`")
            time.sleep(0.05)
    return 0


def _stack_options(options: argparse.Namespace) -> StackOptions:
    config = load(ROOT / "chaincast.toml")
    networks = config.networks
    network = options.network or ("anvil" if options.rpc is None else _only_real_network(networks))
    if network not in networks:
        raise StepFailed("dev", f"chaincast.toml has no network {network!r}", f"choose one of {', '.join(networks)}")
    return StackOptions(
        port=options.port,
        node_port=options.node_port,
        console_port=options.console_port,
        network=network,
        # With --rpc only the network of that node; without it also all other enabled networks that have an RPC URL.
        other_networks=tuple(
            name
            for name, other in config.deployed_networks(local=True).items()
            if name != network and options.rpc is None and (other.rpc_url or os.environ.get(url_variable(name)))
        ),
        rpc=options.rpc,
        enforce_iam=options.enforce_iam,
        seed=options.seed,
    )


def _only_real_network(networks: object) -> str:
    """Return the name of the only network that is not local. Raises `StepFailed` if there is not exactly one."""
    assert isinstance(networks, dict)
    real = [name for name, network in networks.items() if not network.local]
    if len(real) != 1:
        why = f"chaincast.toml has {len(real)} networks that --rpc could belong to: {', '.join(real) or 'none'}"
        raise StepFailed("dev", why, "name the network of the node with --network NAME")
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
    addresses = Table.grid(padding=(0, 2))
    addresses.add_row("[bold]Live console[/]", f"[bold cyan]http://127.0.0.1:{options.console_port}/[/]")
    addresses.add_row("[bold]WebSocket[/]", f"[bold cyan]{stack.outputs.websocket_url}[/]")
    addresses.add_row("AWS emulator", f"{stack.emulator.endpoint} (any credentials; region us-east-1)")
    addresses.add_row("EVM node", options.rpc or f"{stack.node.ws_url} (chain 31337, one block per second)")
    addresses.add_row("Logs", f"{stack.directory.relative_to(ROOT)}/*.log")
    console.print(f"\nready in {seconds:.0f} s")
    console.print(addresses)
    command = f"{PYTHON.removeprefix(str(ROOT) + '/').rpartition('/')[0]}/chaincast tail --topic 'trades:*:*'"
    console.print(f"\nwatch events:  make tail   or   {command}\nafter a code change:  make redeploy\nstop:  Ctrl-C\n")


def _watch(stack: LocalStack, console: Console) -> int:
    request = stack.directory / RESTART_FILE
    while True:
        if request.exists():
            with _step(console, "listener restarted"):
                stack.stop_child(next(child for child in stack.children if child.name == "listener"))
                stack.start_listener()
            request.unlink()
        for child in [child for child in stack.children if not child.running]:
            if child.process.returncode == LEASE_LOST:
                # The machine was asleep, or too busy. The service on AWS, too, replaces a task that has ended.
                with _step(console, "listener started again, because its lease had expired"):
                    stack.stop_child(child)
                    stack.start_listener()
            else:
                print(f"chaincast: {child.name} ended unexpectedly; its last output:\n{child.tail()}", file=sys.stderr)
                return 1
        time.sleep(WATCH_SECONDS)
