"""The deployed stack: every end-to-end test runs with IAM enforced, as on AWS; and without, as `make dev` starts it,
those that show the whole way there and back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from local.stack.checkout import free_port
from local.stack.demo_market import Market
from local.stack.local_stack import LocalStack, Options
from tests.e2e.leaks import leaks
from tests.e2e.mining import Miner
from tests.e2e.tree import as_it_is

WITHOUT_IAM = ("test_delivery", "test_protocol")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what would show nothing new without IAM: half of the time that these tests take."""
    left_out = [item for item in items if "iam-off" in item.nodeid and item.path.stem not in WITHOUT_IAM]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)


@pytest.fixture(scope="session", params=[False, True], ids=["iam-off", "iam-on"])
def stack(request: pytest.FixtureRequest) -> Iterator[LocalStack]:
    """A running stack whose node mines only when told to."""
    options = Options(port=free_port(), node_port=free_port(), enforce_iam=request.param, block_time=None, seed=None)
    with ExitStack() as leaving:
        with as_it_is():
            running = leaving.enter_context(LocalStack(options))
        yield running
        assert leaks(running) == []


@pytest.fixture(scope="session")
def miner(stack: LocalStack) -> Miner:
    """A market with a few tokens whose blocks a test mines one by one."""
    miner = Miner(stack.node, Market(stack.node, seed=7))
    miner.create_tokens(5)
    return miner


@pytest.fixture(autouse=True)
def logs_on_failure(request: pytest.FixtureRequest) -> Iterator[None]:
    """When a test fails, what the stack's processes said last goes into the report."""
    failed_before = request.session.testsfailed
    yield
    if "stack" in request.fixturenames and request.session.testsfailed > failed_before:
        running: LocalStack = request.getfixturevalue("stack")
        for log in sorted(running.run.glob("*.log")):
            print(f"--- {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-15:]))
