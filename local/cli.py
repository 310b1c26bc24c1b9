"""`chaincast`: the command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from local import dev, load, replay, tail, tokens
from local.tools import StepFailed

DEFAULT_PORT = 4566


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

    command = commands.add_parser("dev", help="run the whole stack on this machine")
    command.add_argument("--port", type=int, default=DEFAULT_PORT, help="port of AWS on this machine (%(default)s)")
    command.add_argument("--node-port", type=int, default=8545, help="port of the EVM node (%(default)s)")
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

    command = commands.add_parser("token", help="a client's token for the running stack")
    command.add_argument("user", help="whose")
    command.add_argument("--port", type=int, default=DEFAULT_PORT, help="port of the running stack (%(default)s)")
    command.add_argument("--seconds", type=int, default=3600, help="how long it is good (%(default)s)")
    command.set_defaults(run=tokens.run)

    command = commands.add_parser("replay", help="tell again what was archived, in the running stack")
    command.add_argument("archive", help="a folder of the archive's files, one file, or s3://BUCKET")
    command.add_argument("--port", type=int, default=DEFAULT_PORT, help="port of the running stack (%(default)s)")
    command.add_argument("--source", help="only this source's")
    command.add_argument("--after", default="", metavar="CURSOR", help="only what came after this cursor")
    command.add_argument(
        "--speed", type=float, default=0.0, help="1: as it happened, 10: ten times as fast, 0: at once"
    )
    command.set_defaults(run=replay.run)
    return parser
