"""Tests of the `chaincast` command line itself: its help texts, and what it does when its output is closed."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from websockets.sync.server import ServerConnection, serve

from local import cli
from local.commands import cost
from local.stack.checkout import ROOT
from tests import prose

CHAINCAST = [sys.executable, "-m", "local"]
SECONDS = 60


def run_without_reader(*arguments: str, unbuffered: bool = False) -> subprocess.CompletedProcess[str]:
    """Run a command whose standard output is a pipe that nothing reads."""
    read, write = os.pipe()
    os.close(read)
    environment = os.environ | {"PYTHONUNBUFFERED": "1" if unbuffered else ""}
    try:
        return subprocess.run(
            [*CHAINCAST, *arguments],
            cwd=ROOT,
            env=environment,
            stdout=write,
            stderr=subprocess.PIPE,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    finally:
        os.close(write)


@pytest.mark.parametrize("unbuffered", [False, True], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize(
    "arguments", [("cost",), ("cost", "--json"), ("doctor", "--port", "1"), ("doctor", "--port", "1", "--json")]
)
def test_a_command_ends_quietly_when_its_output_is_closed(arguments: tuple[str, ...], unbuffered: bool) -> None:
    done = run_without_reader(*arguments, unbuffered=unbuffered)
    assert (done.returncode, done.stderr) == (cli.OUTPUT_CLOSED, "")


def test_help_ends_quietly_when_its_output_is_closed() -> None:
    done = run_without_reader("--help")
    assert (done.returncode, done.stderr) == (cli.OUTPUT_CLOSED, "")


@contextmanager
def endless_events() -> Iterator[str]:
    """Serve events of topic network:anvil without end. Yields the URL."""

    def serve_events(socket: ServerConnection) -> None:
        socket.send(json.dumps({"type": "connected", "connection_id": "c", "dialect": "chaincast.v1"}))
        request = json.loads(socket.recv(SECONDS))
        cursors = {"anvil": "000000000000"}
        socket.send(
            json.dumps({"type": "subscribed", "id": request.get("id"), "topics": request["topics"], "cursors": cursors})
        )
        for number in range(1, 100_000):
            event = {
                "id": f"anvil:{number}:1234abcd:0",
                "kind": "price",
                "timestamp": 1_700_000_000_000,
                "block": number,
                "topics": ["network:anvil"],
                "data": {"price": "1", "symbol": "X"},
            }
            batch = {"type": "events", "source": "anvil", "cursor": f"{number:012}", "events": [event]}
            socket.send(json.dumps(batch))

    with serve(serve_events, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_tail_ends_quietly_when_its_reader_has_had_enough() -> None:
    with (
        endless_events() as url,
        subprocess.Popen(
            [*CHAINCAST, "tail", url, "--json"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process,
    ):
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["kind"] == "price"
        process.stdout.close()
        assert process.wait(SECONDS) == cli.OUTPUT_CLOSED
        assert process.stderr.read() == ""


def test_a_broken_pipe_of_a_network_connection_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: argparse.Namespace) -> int:
        raise BrokenPipeError

    monkeypatch.setattr(cost, "run", fail)
    with pytest.raises(BrokenPipeError):
        cli.main(["cost"])


def test_every_command_and_option_has_a_help_text_in_plain_english() -> None:
    parser = cli._parser()
    (commands,) = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    assert len(commands.choices) == 11
    for name, command in commands.choices.items():
        assert command.description, name
        for action in command._actions:
            assert action.help, f"{name} {action.dest}"
            assert prose.riddles(action.help) == [], f"{name} {action.dest}"
