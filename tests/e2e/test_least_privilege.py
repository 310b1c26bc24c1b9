"""Tests that the code of every role uses every permission of the role, and no other."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

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

ATTEMPTS = 3
"""The schedule may also invoke a function during its scenario, and then do work before the scenario is ready."""

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
            connect(running.outputs.websocket_url, open_timeout=SECONDS, ping_interval=None, max_queue=None) as socket,
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
    if name == "FanoutFunction" and permission.action == "sqs:SendMessage":
        return Probe.fanout_hands_over
    return SCENARIOS[name]


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_function_uses_every_right_and_no_other(probe: Probe, name: str) -> None:
    role = Role(probe.stack, name)
    permissions = [permission for permission in role.permissions() if is_tested(name, permission)]
    assert len(permissions) >= 2
    log_start = role.log_size()
    if any(permission.action == "secretsmanager:GetSecretValue" for permission in permissions):
        probe.restart(name)  # the secret is cached for five minutes
    unused = permissions
    for _ in range(ATTEMPTS):
        for scenario in dict.fromkeys([SCENARIOS[name], *(scenario_for(name, permission) for permission in unused)]):
            scenario(probe)
        assert role.decisions("denied", log_start) == []
        allowed = role.decisions("allowed", log_start)
        if not (unused := [permission for permission in unused if not permission.is_in(allowed)]):
            break
    assert list(map(str, unused)) == []
    print(f"{name}: {len(permissions)} permissions, all used")


def test_the_listener_uses_every_right_and_no_other(probe: Probe) -> None:
    stack = probe.stack
    role = Role(stack, "ListenerRole")
    miner = Miner(stack.node, Market(stack.node, seed=11))
    stack.stop_child(listener(stack))
    expire_lease(stack)
    log_start = role.log_size()
    child = stack.start_listener("complete", standby=True)
    miner.create_tokens(2)
    block = miner.block(6)
    wait_until(lambda: has_reached(stack, block))
    stack.stop_child(child)
    assert role.decisions("denied", log_start) == []
    permissions, allowed = role.permissions(), role.decisions("allowed", log_start)
    assert len(permissions) >= 5
    assert [str(permission) for permission in permissions if not permission.is_in(allowed)] == []


def test_without_a_right_a_function_is_denied_the_action(probe: Probe) -> None:
    """The emulator's decisions are those of the policy in force, so that the tests above mean something."""
    role = Role(probe.stack, "HttpTicket")
    (permission,) = [p for p in role.permissions() if p.action == "dynamodb:PutItem"]
    log_start = role.log_size()
    with role.without(permission):
        Probe.ticket(probe)
    assert permission.is_in(role.decisions("denied", log_start))
    log_start = role.log_size()
    Probe.ticket(probe)
    assert role.decisions("denied", log_start) == []
    assert permission.is_in(role.decisions("allowed", log_start))
