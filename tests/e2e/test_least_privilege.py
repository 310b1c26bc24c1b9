"""Tests that every permission of every role is needed: without it, its code is denied an action."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from websockets.sync.client import connect

from local.stack.checkout import BUILD, ROOT, free_port
from local.stack.demo_market import Market
from local.stack.local_stack import LocalStack, StackOptions
from tests.e2e.client import SECONDS
from tests.e2e.mining import Miner
from tests.e2e.privileges import Permission, Role
from tests.e2e.probing import Probe
from tests.e2e.test_crashes import expire_lease, has_reached, listener, wait_until

OPTIONAL = """
[archive]
enabled = true

[kafka]
bootstrap_servers = ["broker.example:9092"]
secret = "chaincast/kafka"
topics = ["price.updates"]
"""

CONSUMERS = ("FanoutFunction", "GatewayLifecycle")
BY_LAMBDA = {
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "sqs:ReceiveMessage",
    "sqs:DeleteMessage",
    "secretsmanager:DescribeSecret",
}
"""Actions that Lambda itself takes with a function's role (AWS Lambda, "Execution role permissions"). The emulator does
not check them. For the secret of Kafka, GetSecretValue is one of them as well."""

SCENARIOS: dict[str, Callable[[Probe], None]] = {
    "GatewayConnect": Probe.connect,
    "GatewayDisconnect": Probe.disconnect,
    "GatewayMessage": Probe.message,
    "GatewayLifecycle": Probe.lifecycle,
    "GatewayHeartbeat": Probe.heartbeat,
    "HttpFunction": Probe.publish,
    "HttpTicket": Probe.ticket,
    "HttpAdmin": Probe.administer,
    "HttpStatus": Probe.status,
    "KafkaFunction": Probe.kafka,
    "ArchiveFunction": Probe.archive,
    "FanoutFunction": Probe.fanout,
}


@pytest.fixture(scope="module")
def probe() -> Iterator[Probe]:
    """A stack with all optional parts, and IAM enforced."""
    config = BUILD / f"privileges-{free_port()}.toml"
    config.write_text((ROOT / "chaincast.toml").read_text() + OPTIONAL)
    options = StackOptions(
        port=free_port(), node_port=free_port(), enforce_iam=True, block_time=None, seed=None, config=config
    )
    try:
        with (
            LocalStack(options) as running,
            connect(running.outputs.websocket_url, ping_interval=None, max_queue=None) as socket,
        ):
            yield Probe(running, json.loads(socket.recv(SECONDS))["connection_id"])
    finally:
        config.unlink()


def is_tested(role: str, permission: Permission) -> bool:
    """Return True if the function's code uses the permission, not Lambda itself."""
    by_lambda = permission.action in BY_LAMBDA or (role in CONSUMERS and permission.action == "sqs:GetQueueAttributes")
    return not by_lambda and not (role == "KafkaFunction" and "secretsmanager" in permission.action)


def scenario_for(name: str, permission: Permission) -> Callable[[Probe], None]:
    """Return the scenario in which a role needs a permission."""
    if name == "FanoutFunction" and "/DELETE/" in permission.resource:
        return Probe.fanout_gives_up
    if "StorageConnections" in permission.resource and permission.action.startswith("dynamodb:Batch"):
        # Batch actions are used for many connections only; a few are deleted one by one.
        with_many = {"FanoutFunction": Probe.fanout_to_many, "GatewayHeartbeat": Probe.heartbeat_of_many}
        return with_many.get(name, SCENARIOS[name])
    if permission.action == "sqs:ChangeMessageVisibility":
        return Probe.fanout_unreadable
    return SCENARIOS[name]


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_right_of_a_function_is_needed(probe: Probe, name: str) -> None:
    role, scenario = Role(probe.stack, name), SCENARIOS[name]
    log_start = role.log_size()
    scenario(probe)
    assert role.denials(log_start) == [], "with all its permissions it is denied nothing"
    permissions = [permission for permission in role.permissions() if is_tested(name, permission)]
    assert len(permissions) >= 2
    unneeded = []
    for permission in permissions:
        if permission.action == "secretsmanager:GetSecretValue":
            probe.restart(name)  # the secret is cached for five minutes
        with role.without(permission) as denied:
            scenario_for(name, permission)(probe)
        if not permission.is_denied_in(denied):
            unneeded.append(str(permission))
    assert unneeded == []
    print(f"{name}: {len(permissions)} permissions, each needed")
    log_start = role.log_size()
    scenario(probe)
    assert role.denials(log_start) == [], "with all of them again it is denied nothing"


def test_every_right_of_the_listener_is_needed(probe: Probe) -> None:
    stack = probe.stack
    role = Role(stack, "ListenerRole")
    miner = Miner(stack.node, Market(stack.node, seed=11))

    def run(name: str, has_failed: Callable[[], bool]) -> None:
        """Run a listener through some blocks, or until it has been denied something."""
        expire_lease(stack)
        child = stack.start_listener(name, standby=True)
        miner.create_tokens(2)
        block = miner.block(6)
        wait_until(lambda: has_failed() or has_reached(stack, block))
        stack.stop_child(child)

    stack.stop_child(listener(stack))
    run("complete", lambda: False)
    assert role.denials() == []
    permissions = role.permissions()
    assert len(permissions) >= 5
    unneeded = []
    for number, permission in enumerate(permissions):
        with role.without(permission) as denied:
            run(f"probe{number}", partial(role.was_denied, permission))
        if not permission.is_denied_in(denied):
            unneeded.append(str(permission))
    assert unneeded == []
    print(f"ListenerRole: {len(permissions)} permissions, each needed")
