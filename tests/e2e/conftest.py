"""Fixtures of the end-to-end tests: a deployed stack that enforces IAM, as AWS does, and a market on its node."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.stack.checkout import free_port
from local.stack.demo_market import Market
from local.stack.local_stack import LocalStack, StackOptions
from tests.e2e.leaks import find_leaks
from tests.e2e.mining import Miner


@pytest.fixture(scope="session")
def stack() -> Iterator[LocalStack]:
    """A running stack whose node mines only on demand."""
    options = StackOptions(port=free_port(), node_port=free_port(), enforce_iam=True, block_time=None, seed=None)
    with LocalStack(options) as running:
        yield running
        assert find_leaks(running) == []


@pytest.fixture(scope="session")
def miner(stack: LocalStack) -> Miner:
    """A market with a few tokens whose blocks a test mines one by one."""
    miner = Miner(stack.node, Market(stack.node, seed=7))
    miner.create_tokens(5)
    return miner


@pytest.fixture(autouse=True)
def logs_on_failure(request: pytest.FixtureRequest) -> Iterator[None]:
    """When a test fails, add the last output of the stack's processes to the report."""
    failed_before = request.session.testsfailed
    yield
    if "stack" in request.fixturenames and request.session.testsfailed > failed_before:
        running: LocalStack = request.getfixturevalue("stack")
        for log in sorted(running.directory.glob("*.log")):
            print(f"--- {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-15:]))
