"""`chaincast`: the command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TypeAlias

from local.commands import cost, dev, doctor, import_archive, load, redrive, reset, tail, tokens
from local.stack.tools import StepFailed

DEFAULT_PORT = 4566
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
    except StepFailed as error:
        print(f"chaincast: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="chaincast", description="Blockchain events over managed WebSockets.")
    commands = parser.add_subparsers(title="commands", required=True)
    _running(commands)
    _measuring(commands)
    _mending(commands)
    return parser


def _running(commands: Commands) -> None:
    """The local stack."""
    command = commands.add_parser("dev", help="run the whole stack on this machine")
    command.add_argument("--port", type=int, default=DEFAULT_PORT, help="port of AWS on this machine (%(default)s)")
    command.add_argument("--node-port", type=int, default=8545, help="port of the EVM node (%(default)s)")
    command.add_argument("--console-port", type=int, default=4580, help="port of the live console (%(default)s)")
    command.add_argument("--rpc", metavar="URL", help="follow this node instead of an own one")
    command.add_argument(
        "--network", help="which network of chaincast.toml the node is (default: anvil, or its only one)"
    )
    command.add_argument("--seed", type=int, default=1, help="of the demo market (%(default)s)")
    command.add_argument("--auth", action="store_true", help="enforce the template's IAM policies")
    command.add_argument("--quiet", action="store_true", help="print the WebSocket URL and errors, nothing else")
    command.set_defaults(run=dev.run)

    command = commands.add_parser("redeploy", help="deploy changed code to the running stack")
    command.add_argument("--port", type=int, default=DEFAULT_PORT, help="port of the running stack (%(default)s)")
    command.set_defaults(run=dev.redeploy)

    command = commands.add_parser("tail", help="watch events as they come")
    command.add_argument("url", nargs="?", help="WebSocket URL (default: the stack that runs on this machine)")
    command.add_argument("--port", type=int, default=DEFAULT_PORT, help="port of the running stack (%(default)s)")
    command.add_argument("--topic", action="append", dest="topics", metavar="TOPIC", help="repeatable (network:*)")
    command.add_argument("--json", action="store_true", help="one event a line, for pipes")
    command.add_argument("--count", type=int, metavar="N", help="end after N events")
    command.set_defaults(run=tail.run)

    command = commands.add_parser("token", help="a client's token for the running stack")
    command.add_argument("user", help="whose")
    command.add_argument("--port", type=int, default=DEFAULT_PORT, help="port of the running stack (%(default)s)")
    command.add_argument("--seconds", type=int, default=3600, help="how long it is good (%(default)s)")
    command.set_defaults(run=tokens.run)


def _measuring(commands: Commands) -> None:
    """What a stack can take, and costs."""
    command = commands.add_parser("load", help="many clients at once: what reaches them, and when")
    command.add_argument("--url", help="WebSocket URL (default: the stack that runs on this machine)")
    command.add_argument("--http-url", metavar="URL", help="where to publish (default: that stack's)")
    command.add_argument("--port", type=int, default=DEFAULT_PORT, help="port of the running stack (%(default)s)")
    command.add_argument("--clients", type=int, default=100, help="how many (%(default)s)")
    command.add_argument("--duration", type=float, default=30, metavar="SECONDS", help="how long (%(default)s)")
    command.add_argument("--topics", action="append", metavar="TOPIC[,TOPIC…]", help="each client gets one of them")
    command.add_argument(
        "--rate", type=float, default=2, help="events to publish a second; 0: only listen (%(default)s)"
    )
    command.add_argument("--connect-rate", type=float, default=50, help="new connections a second (%(default)s)")
    command.add_argument(
        "--ramp-to", type=int, metavar="N", help="ever more clients, until it breaks down or there are N"
    )
    command.add_argument("--json", action="store_true", help="figures for programs")
    command.set_defaults(run=load.run)

    command = commands.add_parser("cost", help="what a load costs a month, by line")
    command.add_argument("--connections", type=int, default=1000, help="open at once, on average (%(default)s)")
    command.add_argument("--events-per-second", type=float, default=10, help="of all topics (%(default)s)")
    command.add_argument("--subscribers-per-event", type=float, default=100, help="who get each (%(default)s)")
    command.add_argument("--batches-per-second", type=float, default=1, help="blocks that bring events (%(default)s)")
    command.add_argument("--event-bytes", type=int, default=400, help="as clients are told it (%(default)s)")
    command.add_argument("--connection-minutes", type=float, default=30, help="how long one stays (%(default)s)")
    command.add_argument("--topics", type=float, default=3, help="that a connection listens to (%(default)s)")
    command.add_argument("--networks", type=int, default=1, help="that are followed (%(default)s)")
    command.add_argument("--json", action="store_true", help="figures for programs")
    command.set_defaults(run=cost.run)


def _mending(commands: Commands) -> None:
    """What is needed when something went wrong."""
    command = commands.add_parser("doctor", help="is a deployed stack well?")
    _of_stack(command)
    command.add_argument("--json", action="store_true", help="findings for programs")
    command.set_defaults(run=doctor.run)

    command = commands.add_parser("redrive", help="what waits in dead-letter queues, and back with it")
    _of_stack(command)
    command.add_argument("--queue", choices=sorted(redrive.QUEUES), help="only this one's")
    command.add_argument("--move", action="store_true", help="send the messages back where they came from")
    command.set_defaults(run=redrive.run)

    command = commands.add_parser("reset-checkpoint", help="let a network's listener go on from another block")
    _of_stack(command)
    command.add_argument("network", help="as chaincast.toml calls it")
    command.add_argument("--block", type=int, required=True, help="the newest that is to count as done")
    command.add_argument("--yes", action="store_true", help="do it")
    command.set_defaults(run=reset.run)

    command = commands.add_parser("replay", help="tell again what was archived, in the running stack")
    command.add_argument("archive", help="a folder of the archive's files, one file, or s3://BUCKET")
    command.add_argument("--port", type=int, default=DEFAULT_PORT, help="port of the running stack (%(default)s)")
    command.add_argument("--source", help="only this source's")
    command.add_argument("--after", default="", metavar="CURSOR", help="only what came after this cursor")
    command.add_argument(
        "--speed", type=float, default=0.0, help="1: as it happened, 10: ten times as fast, 0: at once"
    )
    command.set_defaults(run=import_archive.run)


def _of_stack(command: argparse.ArgumentParser) -> None:
    command.add_argument("--stack", help="in AWS, by the environment's credentials (default: the one on this machine)")
    command.add_argument("--port", type=int, default=DEFAULT_PORT, help="port of the running stack (%(default)s)")
