"""The `chaincast` command line: its commands and options."""

from __future__ import annotations

import argparse
import os
import select
import signal
import sys
from collections.abc import Sequence
from typing import TypeAlias

from local.commands import check, cost, dev, doctor, import_archive, load, redrive, reset_checkpoint, tail, tokens
from local.errors import StepFailed

DEFAULT_PORT = 4566
OUTPUT_CLOSED = 128 + signal.SIGPIPE
"""Exit status if the reader of the output is gone (`chaincast … | head`): what a shell reports for death by SIGPIPE."""
INTERRUPTED = 128 + signal.SIGINT
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        if not _output_is_closed():
            raise
        return OUTPUT_CLOSED
    return code


def _run(arguments: Sequence[str] | None) -> int:
    try:
        options = _parser().parse_args(arguments)
        code: int = options.run(options)
    except SystemExit:  # after --help, or after a usage error
        sys.stdout.flush()
        raise
    except StepFailed as error:
        print(f"chaincast: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def _output_is_closed() -> bool:
    """Return True if standard output or error is a pipe without a reader, and redirect that stream to nowhere.

    Without the redirection Python would fail once more when it flushes the streams at exit
    (https://docs.python.org/3/library/signal.html#note-on-sigpipe).
    """
    closed = [stream for stream in (sys.stdout, sys.stderr) if _has_no_reader(stream.fileno())]
    for stream in closed:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return bool(closed)


def _has_no_reader(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, 0)  # errors and hang-ups are reported without being asked for
    return any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="chaincast", description="Run, measure and operate Chaincast: blockchain events over managed WebSockets."
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_local_stack_commands(commands)
    _add_measurement_commands(commands)
    _add_operation_commands(commands)
    return parser


def _add_local_stack_commands(commands: Commands) -> None:
    command = _add(commands, "dev", "run the whole stack on this machine until Ctrl-C")
    command.add_argument(
        "--port", type=int, default=DEFAULT_PORT, metavar="N", help="port of the AWS emulator (default: %(default)s)"
    )
    command.add_argument(
        "--node-port", type=int, default=8545, metavar="N", help="port of the EVM node (default: %(default)s)"
    )
    command.add_argument(
        "--console-port", type=int, default=4580, metavar="N", help="port of the live console (default: %(default)s)"
    )
    command.add_argument("--rpc", metavar="URL", help="RPC URL of a node to follow instead of starting one")
    command.add_argument(
        "--network",
        metavar="NAME",
        help="network of chaincast.toml that the node belongs to (default: anvil; with --rpc, the only other network)",
    )
    command.add_argument(
        "--seed", type=int, default=1, metavar="N", help="random seed of the demo market (default: %(default)s)"
    )
    command.add_argument(
        "--enforce-iam", action="store_true", help="enforce the IAM policies of the template, as AWS does"
    )
    command.add_argument("--quiet", action="store_true", help="print only the WebSocket URL and errors")
    command.set_defaults(run=dev.run)

    command = _add(commands, "redeploy", "deploy changed code to the running local stack")
    _add_port(command)
    command.set_defaults(run=dev.redeploy)

    command = _add(commands, "tail", "show events as they arrive")
    command.add_argument("url", nargs="?", metavar="URL", help="WebSocket URL (default: that of the local stack)")
    _add_port(command)
    command.add_argument(
        "--topic",
        action="append",
        dest="topics",
        metavar="TOPIC",
        help="topic to subscribe to; may be repeated (default: network:*)",
    )
    command.add_argument("--json", action="store_true", help="print one JSON object per line")
    command.add_argument("--count", type=int, metavar="N", help="exit after N events")
    command.set_defaults(run=tail.run)

    command = _add(commands, "token", "print a client token for the running local stack")
    command.add_argument("user", metavar="USER", help="user id that the token authenticates")
    _add_port(command)
    command.add_argument(
        "--seconds", type=int, default=3600, metavar="N", help="seconds until the token expires (default: %(default)s)"
    )
    command.set_defaults(run=tokens.run)


def _add_measurement_commands(commands: Commands) -> None:
    command = _add(commands, "load", "connect many clients, and measure what they receive and how late")
    command.add_argument("--url", help="WebSocket URL of the stack (default: that of the local stack)")
    command.add_argument("--http-url", metavar="URL", help="URL of the HTTP API to publish to (default: as for --url)")
    _add_port(command)
    command.add_argument(
        "--clients", type=int, default=100, metavar="N", help="number of clients (default: %(default)s)"
    )
    command.add_argument(
        "--duration", type=float, default=30, metavar="SECONDS", help="length of the measurement (default: %(default)s)"
    )
    command.add_argument(
        "--topics",
        action="append",
        metavar="TOPIC[,TOPIC…]",
        help="topics, one for each client in turn; may be repeated (default: ten trade:SYMBOL topics)",
    )
    command.add_argument(
        "--rate",
        type=float,
        default=2,
        metavar="N",
        help="events to publish per second; 0 measures the events of other publishers (default: %(default)s)",
    )
    command.add_argument(
        "--connect-rate", type=float, default=50, metavar="N", help="new connections per second (default: %(default)s)"
    )
    command.add_argument(
        "--ramp-to",
        type=int,
        metavar="N",
        help="add clients in steps, until events are late or lost or there are N",
    )
    command.add_argument("--json", action="store_true", help="print JSON instead of a table")
    command.set_defaults(run=load.run)

    command = _add(commands, "cost", "estimate the monthly AWS bill of a load, line by line")
    command.add_argument(
        "--connections",
        type=int,
        default=1000,
        metavar="N",
        help="average number of concurrent connections (default: %(default)s)",
    )
    command.add_argument(
        "--events-per-second",
        type=float,
        default=10,
        metavar="N",
        help="average number of events per second, of all topics (default: %(default)s)",
    )
    command.add_argument(
        "--subscribers-per-event",
        type=float,
        default=100,
        metavar="N",
        help="average number of subscribers that receive each event (default: %(default)s)",
    )
    command.add_argument(
        "--batches-per-second",
        type=float,
        default=1,
        metavar="N",
        help="blocks with events (or publish requests) per second (default: %(default)s)",
    )
    command.add_argument(
        "--event-bytes",
        type=int,
        default=400,
        metavar="N",
        help="average encoded size of an event, in bytes (default: %(default)s)",
    )
    command.add_argument(
        "--connection-minutes",
        type=float,
        default=30,
        metavar="N",
        help="average lifetime of a connection, in minutes (default: %(default)s)",
    )
    command.add_argument(
        "--topics-per-connection",
        type=float,
        default=3,
        metavar="N",
        help="average number of subscriptions of a connection (default: %(default)s)",
    )
    command.add_argument(
        "--networks", type=int, default=1, metavar="N", help="number of networks with a listener (default: %(default)s)"
    )
    command.add_argument("--json", action="store_true", help="print JSON instead of a table")
    command.set_defaults(run=cost.run)


def _add_operation_commands(commands: Commands) -> None:
    command = _add(commands, "doctor", "check that a deployed stack works")
    _add_stack(command)
    command.add_argument("--json", action="store_true", help="print the results as JSON")
    command.add_argument(
        "--test-alarm", action="store_true", help="raise an alarm for some seconds, and check that AWS sends it"
    )
    command.set_defaults(run=doctor.run)

    command = _add(commands, "check", "check the configuration before a deployment")
    command.add_argument(
        "file", nargs="?", default="chaincast.toml", metavar="FILE", help="configuration file (default: %(default)s)"
    )
    command.add_argument(
        "--deploy",
        action="store_true",
        help="check also that this machine and the AWS account of the environment are ready for cdk deploy",
    )
    command.add_argument("--json", action="store_true", help="print the results as JSON")
    command.set_defaults(run=check.run)

    command = _add(commands, "redrive", "list dead-letter messages, or send them back to their queue")
    _add_stack(command)
    command.add_argument("--queue", choices=sorted(redrive.QUEUES), help="only the dead letters of this queue")
    command.add_argument("--move", action="store_true", help="send the messages back to their queue")
    command.set_defaults(run=redrive.run)

    command = _add(commands, "reset-checkpoint", "make a network's listener continue from another block")
    _add_stack(command)
    command.add_argument("network", metavar="NETWORK", help="name of the network in chaincast.toml")
    command.add_argument(
        "--block", type=int, required=True, metavar="N", help="block number; the listener continues with block N + 1"
    )
    command.add_argument("--yes", action="store_true", help="write the checkpoint (default: only show the change)")
    command.set_defaults(run=reset_checkpoint.run)

    command = _add(commands, "import-archive", "deliver archived events again, on the running local stack")
    command.add_argument(
        "archive", metavar="ARCHIVE", help="folder of archive files, one file, or s3://BUCKET[/PREFIX]"
    )
    _add_port(command)
    command.add_argument("--source", metavar="NAME", help="import only this source")
    command.add_argument("--after", default="", metavar="CURSOR", help="import only batches after this cursor")
    command.add_argument(
        "--speed",
        type=float,
        default=0.0,
        metavar="FACTOR",
        help="1: at the original pace; 10: ten times as fast; 0: without delay (default: %(default)g)",
    )
    command.set_defaults(run=import_archive.run)


def _add(commands: Commands, name: str, purpose: str) -> argparse.ArgumentParser:
    """Add a command whose purpose is shown in the list of commands and in its own help."""
    return commands.add_parser(name, help=purpose, description=f"{purpose[0].upper()}{purpose[1:]}.")


def _add_port(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--port", type=int, default=DEFAULT_PORT, metavar="N", help="port of the local stack (default: %(default)s)"
    )


def _add_stack(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--stack",
        metavar="NAME",
        help="CloudFormation stack in the AWS account of the environment (default: the local stack)",
    )
    _add_port(command)
