"""No role may do anything that it does not need: without any one of its rights, what its code does is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from websockets.sync.client import connect

from local.stack.checkout import BUILD, ROOT, free_port
from local.stack.demo_market import Market
from local.stack.local_stack import LocalStack, Options
from tests.e2e.client import SECONDS
from tests.e2e.mining import Miner
from tests.e2e.privileges import Right, Role
from tests.e2e.probing import Probe
from tests.e2e.test_crashes import expire_lease, has_reached, listener, wait_until

OPTIONAL = """
[audit]
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
"""What Lambda itself does for a function, in its name; the emulator's does it without asking. (Lambda, "Execution role
permissions"; of Kafka's secret also GetSecretValue.)"""

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
    """A stack with everything that is optional, and IAM enforced."""
    config = BUILD / f"privileges-{free_port()}.toml"
    config.write_text((ROOT / "chaincast.toml").read_text() + OPTIONAL)
    options = Options(
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


def judged(role: str, right: Right) -> bool:
    by_lambda = right.action in BY_LAMBDA or (role in CONSUMERS and right.action == "sqs:GetQueueAttributes")
    return not by_lambda and not (role == "KafkaFunction" and "secretsmanager" in right.action)


def scenario_for(name: str, right: Right) -> Callable[[Probe], None]:
    """What a role needs a right for, if it is out of the ordinary."""
    if name == "FanoutFunction" and "/DELETE/" in right.resource:
        return Probe.fanout_gives_up
    if "StorageConnections" in right.resource and right.action.startswith("dynamodb:Batch"):
        # Of a few connections each is deleted by itself.
        of_many = {"FanoutFunction": Probe.fanout_to_many, "GatewayHeartbeat": Probe.heartbeat_of_many}
        return of_many.get(name, SCENARIOS[name])
    if right.action == "sqs:ChangeMessageVisibility":
        return Probe.fanout_unreadable
    return SCENARIOS[name]


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_right_of_a_function_is_needed(probe: Probe, name: str) -> None:
    role, scenario = Role(probe.stack, name), SCENARIOS[name]
    begun = role.log_size()
    scenario(probe)
    assert role.denials(begun) == [], "with all its rights it is refused nothing"
    rights = [right for right in role.rights() if judged(name, right)]
    assert len(rights) >= 2
    spare = []
    for right in rights:
        if right.action == "secretsmanager:GetSecretValue":
            probe.fresh(name)  # it is kept for five minutes
        with role.without(right) as denied:
            scenario_for(name, right)(probe)
        if not right.is_missed(denied):
            spare.append(str(right))
    assert spare == []
    print(f"{name}: {len(rights)} rights, each needed")
    begun = role.log_size()
    scenario(probe)
    assert role.denials(begun) == [], "and with all of them again it is whole again"


def test_every_right_of_the_listener_is_needed(probe: Probe) -> None:
    stack = probe.stack
    role = Role(stack, "ListenerRole")
    miner = Miner(stack.node, Market(stack.node, seed=11))

    def run(name: str, has_failed: Callable[[], bool]) -> None:
        """A listener from its start to its end, through some blocks, or until it is refused something."""
        expire_lease(stack)
        child = stack.start_listener(name, standby=True)
        miner.create_tokens(2)
        block = miner.block(6)
        wait_until(lambda: has_failed() or has_reached(stack, block))
        stack.stop_child(child)

    stack.stop_child(listener(stack))
    run("whole", lambda: False)
    assert role.denials() == []
    rights = role.rights()
    assert len(rights) >= 5
    spare = []
    for number, right in enumerate(rights):
        with role.without(right) as denied:
            run(f"probe{number}", partial(role.misses, right))
        if not right.is_missed(denied):
            spare.append(str(right))
    assert spare == []
    print(f"ListenerRole: {len(rights)} rights, each needed")
