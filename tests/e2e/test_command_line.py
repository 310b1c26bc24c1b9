"""Tests of the `chaincast` commands as a user runs them, on a stack of `chaincast dev`."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from websockets.sync.client import connect

from chaincast.eventlog.checkpoint import checkpoint_key
from chaincast.fanout.messages import ShardDrained, encode_message
from chaincast.model.sharding import ShardAssignment
from local.stack.administrator import session
from local.stack.checkout import CHAINCAST, ROOT, free_port
from local.stack.deployment import run_directory
from tests.e2e.checkout_copy import CHAINCAST_MODULE, CheckoutCopy
from tests.e2e.test_crashes import wait_until

SECONDS = 400


@dataclass(frozen=True, slots=True)
class Dev:
    """A running `chaincast dev --quiet`."""

    process: subprocess.Popen[str]
    port: int
    url: str
    console_port: int
    checkout: CheckoutCopy
    """The code that the stack is deployed from."""


def processes_of(port: int) -> list[str]:
    """Return the command lines of processes that use a stack's directory or port."""
    commands = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            command = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            environment = (path / "environ").read_bytes()
        except OSError:
            continue
        if f"GATEWAY_PORT={port}".encode() in environment or f"local-{port}" in command:
            commands.append(command)
    return commands


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    checkout = CheckoutCopy.create(tmp_path_factory.mktemp("dev") / "checkout")
    port = free_port()
    console_port = free_port()
    ports = ["--port", str(port), "--node-port", str(free_port()), "--console-port", str(console_port)]
    process = subprocess.Popen(
        [*CHAINCAST_MODULE, "dev", *ports, "--seed", "3", "--quiet"],
        cwd=checkout.root,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield Dev(process, port, process.stdout.readline().strip(), console_port, checkout)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def tail(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([CHAINCAST, "tail", *arguments], capture_output=True, text=True, timeout=SECONDS, check=False)


def test_tail_prints_live_trades(dev: Dev) -> None:
    assert dev.url.startswith("ws://127.0.0.1:")
    done = tail("--port", str(dev.port), "--topic", "trades:*:*", "--json", "--count", "3")
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [e["kind"] for e in events] == ["trade"] * 3
    assert {e["source"] for e in events} == {"anvil"}


def test_the_config_of_the_console_contains_the_url_of_the_stack(dev: Dev) -> None:
    page = f"http://127.0.0.1:{dev.console_port}"
    with urllib.request.urlopen(f"{page}/config.json") as answer:
        assert json.load(answer) == {"url": dev.url, "networks": ["anvil"], "auth": "optional"}
        assert answer.headers["Access-Control-Allow-Origin"] == "*", "pages of the examples read it as well"
    for name in ("", "main.js", "style.css", "icon.svg"):
        urllib.request.urlopen(f"{page}/{name}").close()


def test_tail_shows_a_table(dev: Dev) -> None:
    done = tail(dev.url, "--count", "2")
    assert done.returncode == 0, done.stderr
    assert "network:*" in done.stdout


def test_tail_reports_errors(dev: Dev) -> None:
    done = tail(dev.url, "--topic", "trades:nowhere:*")
    assert done.returncode == 1
    assert "UNKNOWN_NETWORK" in done.stderr
    done = tail("--port", "1")
    assert "no stack runs on port 1" in done.stderr
    done = tail("ws://127.0.0.1:1/prod")
    assert "cannot connect" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_token_of_the_running_stack_gives_a_connection_its_user(dev: Dev) -> None:
    command = [CHAINCAST, "token", "ann", "--port", str(dev.port)]
    token = subprocess.run(command, capture_output=True, text=True, check=True, timeout=SECONDS).stdout.strip()
    with connect(dev.url, open_timeout=SECONDS) as socket:
        socket.recv(SECONDS)
        socket.send(json.dumps({"type": "authenticate", "token": token}))
        answer = json.loads(socket.recv(SECONDS))
    assert answer == {"type": "authenticated", "user": {"id": "ann", "email": "ann@example.com"}}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([CHAINCAST, *arguments], capture_output=True, text=True, timeout=SECONDS, check=False)


def test_the_doctor_finds_no_problem_in_a_running_stack(dev: Dev) -> None:
    done = run("doctor", "--port", str(dev.port), "--json")
    assert done.returncode == 0, done.stdout
    findings = {finding["check"]: finding for finding in json.loads(done.stdout)}
    assert findings.keys() >= {"stack", "websocket", "health", "listener anvil", "clock", "alarms", "configuration"}
    assert {name for name, finding in findings.items() if finding["ok"] is None} == {
        "alarm topic",
        "certificate",
        "clock",
        "event sources",
        "quotas",
    }
    assert findings["websocket"]["message"].startswith("greeted after ")
    assert "✓ stack: Chaincast is " in run("doctor", "--port", str(dev.port)).stdout


def test_the_doctor_reports_that_no_stack_runs() -> None:
    done = run("doctor", "--port", "1")
    assert done.returncode == 1
    assert "no stack runs on port 1" in done.stdout
    assert "Traceback" not in done.stderr


def test_load_measures_deliveries(dev: Dev) -> None:
    arguments = ("--clients", "12", "--duration", "3", "--rate", "4")
    done = run("load", "--port", str(dev.port), *arguments, "--json")
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)
    assert (row["connected"], row["delivered_share"], row["refused"]) == (12, 1.0, {})
    assert row["events"] > 5
    shown = run("load", "--port", str(dev.port), *arguments)
    assert "delivered share" in shown.stdout
    steps = run(
        "load", "--port", str(dev.port), "--clients", "4", "--ramp-to", "5", "--duration", "3", "--rate", "2", "--json"
    )
    assert [row["connected"] for row in json.loads(steps.stdout)] == [4, 5]


def test_load_without_publishing_measures_the_events_of_the_chain(dev: Dev) -> None:
    done = run(
        "load",
        "--port",
        str(dev.port),
        "--clients",
        "3",
        "--duration",
        "6",
        "--rate",
        "0",
        "--topics",
        "trades:*:*",
        "--json",
    )
    (row,) = json.loads(done.stdout)
    assert row["events"] > 5
    assert row["delivered_share"] == 1.0
    refused = run("load", "--port", str(dev.port), "--topics", "trades:*:*")
    assert "needs --rate 0" not in refused.stdout
    assert "other topics need --rate 0" in refused.stderr


def test_dead_letters_are_listed_and_moved_back(dev: Dev) -> None:
    assert run("redrive", "--port", str(dev.port)).stdout == "fanout: no messages\nlifecycle: no messages\n"
    sqs = session().client("sqs", endpoint_url=f"http://127.0.0.1:{dev.port}")
    (dead,) = sqs.list_queues(QueueNamePrefix="Chaincast-FanoutDlq")["QueueUrls"]
    for number in range(3):  # messages of a drained shard, which fan-out accepts without effect
        body = encode_message(ShardDrained(ShardAssignment(1, 0, (1,)), "nowhere", number))
        sqs.send_message(
            QueueUrl=dead, MessageBody=body, MessageGroupId="nowhere#0", MessageDeduplicationId=f"nowhere:{number}"
        )
    shown = run("redrive", "--port", str(dev.port), "--queue", "fanout")
    assert (shown.returncode, "about 3 messages" in shown.stdout) == (1, True)
    assert run("redrive", "--port", str(dev.port), "--queue", "fanout", "--move").stdout == (
        "fanout: 3 messages moved back\n"
    )
    assert run("redrive", "--port", str(dev.port), "--queue", "fanout").stdout == "fanout: no messages\n"


def test_a_checkpoint_is_not_moved_under_a_running_listener(dev: Dev) -> None:
    arguments = ("reset-checkpoint", "anvil", "--block", "3", "--port", str(dev.port))
    asked = run(*arguments)
    assert (asked.returncode, "nothing was changed; add --yes" in asked.stdout) == (1, True)
    refused = run(*arguments, "--yes")
    assert refused.returncode == 1
    assert "a listener of anvil is running" in refused.stderr
    assert "has no checkpoint" in run("reset-checkpoint", "nowhere", "--block", "3", "--port", str(dev.port)).stderr


def test_cost_prints_a_bill() -> None:
    load = ("--connections", "10000", "--events-per-second", "50", "--subscribers-per-event", "200")
    shown = run("cost", *load)
    assert "API Gateway: messages" in shown.stdout
    sums = json.loads(run("cost", *load, "--json").stdout)["sums"]
    assert 0 < sums["chaincast"] < sums["unbatched"]
    assert sums.keys() == {"chaincast", "unbatched", "appsync_events", "iot_core"}


def test_a_port_in_use_is_named_with_what_to_do(dev: Dev) -> None:
    done = subprocess.run(
        [CHAINCAST, "dev", "--port", str(dev.port), "--node-port", str(free_port())],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 1
    assert f"port {dev.port} is in use" in done.stderr
    assert "--port N" in done.stderr
    directory = run_directory(dev.port)
    assert (directory / "listener.log").exists(), "the directory of the running stack is not changed"
    assert tail("--port", str(dev.port), "--json", "--count", "1").returncode == 0


def test_a_listener_whose_lease_expired_is_started_again(dev: Dev) -> None:
    """A laptop that was asleep has lost the lease, which another listener may have taken meanwhile."""
    database = session().client("dynamodb", endpoint_url=f"http://127.0.0.1:{dev.port}")
    (table,) = [name for name in database.list_tables()["TableNames"] if "StorageState" in name]
    log = run_directory(dev.port) / "listener.log"
    taken = log.read_text().count("lease taken")
    database.update_item(
        TableName=table,
        Key=checkpoint_key("anvil"),
        UpdateExpression="SET lease_until = :zero ADD fence :one",
        ExpressionAttributeValues={":zero": {"N": "0"}, ":one": {"N": "1"}},
    )
    wait_until(lambda: log.read_text().count("lease taken") > taken)
    assert tail(dev.url, "--json", "--count", "1").returncode == 0


@pytest.mark.parametrize("whole", [False, True], ids=["code alone", "the whole stack"])
def test_a_redeploy_keeps_the_url_and_the_stack_running(dev: Dev, whole: bool) -> None:
    if whole:
        (run_directory(dev.port) / "stack-inputs").write_text("of another stack")
    done = dev.checkout.redeploy(dev.port)
    assert done.returncode == 0, done.stderr
    assert ("cdk deploy" in done.stdout) == whole
    assert tail(dev.url, "--json", "--count", "1").returncode == 0


def test_another_contract_is_followed_after_editing_one_file(dev: Dev) -> None:
    """Follow docs/quickstart.md, with the token that the demo market trades most as the contract."""
    trades = tail(dev.url, "--topic", "trades:*:*", "--json", "--count", "20").stdout.splitlines()
    (token, _), *_ = Counter(json.loads(trade)["token"] for trade in trades).most_common()
    guide = (ROOT / "docs" / "quickstart.md").read_text()
    added = guide.partition("```toml\n")[2].partition("```")[0].replace("0x" + "0" * 40, token)
    assert token in added
    dev.checkout.append("chaincast.toml", added)
    done = dev.checkout.redeploy(dev.port)
    assert done.returncode == 0, done.stderr
    done = tail(dev.url, "--topic", f"contract:anvil:{token}", "--json", "--count", "1")
    event = json.loads(done.stdout)
    assert (event["kind"], event["data"]["event"]) == ("contract.event", "Transfer")
    assert event["data"]["args"].keys() == {"from", "to", "value"}


def test_new_code_is_live_after_a_redeploy(dev: Dev) -> None:
    dev.checkout.replace("chaincast/sessions/greeter.py", "Connected(job.connection_id,", 'Connected("changed",')
    done = dev.checkout.redeploy(dev.port)
    assert done.returncode == 0, done.stderr
    with connect(dev.url, open_timeout=SECONDS) as socket:
        assert json.loads(socket.recv(SECONDS))["connection_id"] == "changed"


def test_ctrl_c_stops_everything(dev: Dev) -> None:
    assert processes_of(dev.port)
    dev.process.send_signal(signal.SIGINT)
    assert dev.process.wait(SECONDS) == 0
    assert processes_of(dev.port) == []
    shutil.rmtree(run_directory(dev.port))


def test_every_command_has_help() -> None:
    for command in ([], ["dev"], ["tail"], ["redeploy"]):
        done = subprocess.run([CHAINCAST, *command, "--help"], capture_output=True, text=True, check=False)
        assert done.returncode == 0
        assert "usage: chaincast" in done.stdout
    assert os.access(CHAINCAST, os.X_OK)
