"""Every command that README and docs tell a user to run is run by a test, and every link leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chaincast.config import parse

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

RUN_BY = {
    "make dev": "tests/e2e/test_command_line.py",
    "make tail ARGS=\"--topic 'trades:*:*'\"": "tests/e2e/test_command_line.py",
    'make dev ARGS="--rpc wss://your-provider.example/bsc-testnet"': "tests/e2e/test_own_node.py",
    "make setup": ".ci/run",
    ".venv/bin/chaincast token ann": "tests/e2e/test_command_line.py",
    ".venv/bin/chaincast replay s3://your-archive-bucket": "tests/e2e/test_replay.py",
    "node_modules/.bin/cdk bootstrap": "local/deployment.py",
    "node_modules/.bin/cdk deploy": "local/deployment.py",
    "node_modules/.bin/cdk deploy --context stage=dev": "tests/infra/test_observability.py",
    ".venv/bin/chaincast doctor": "tests/e2e/test_command_line.py",
    ".venv/bin/chaincast redrive": "tests/e2e/test_command_line.py",
    ".venv/bin/chaincast redrive --move": "tests/e2e/test_command_line.py",
    ".venv/bin/chaincast reset-checkpoint bsc-testnet --block 41000000 --yes": "tests/e2e/test_deploying.py",
    ".venv/bin/chaincast load --clients 100 --duration 10": "tests/e2e/test_command_line.py",
    ".venv/bin/chaincast cost --connections 10000 --events-per-second 50 --subscribers-per-event 200": (
        "tests/e2e/test_command_line.py"
    ),
    "make chaos": "tests/chaos/__main__.py",
}
"""Command → what runs it (the CDK's by every end-to-end test, through local/deployment.py)."""


def commands(page: Path) -> list[str]:
    blocks = re.findall(r"```console\n(.*?)```", page.read_text(), re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def test_each_command_in_the_docs_has_a_test_that_runs_it() -> None:
    told = {command for page in PAGES for command in commands(page)}
    assert told == set(RUN_BY)
    assert all((ROOT / runner).exists() for runner in RUN_BY.values())


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_example_of_a_configuration_is_valid(page: Path) -> None:
    for text in re.findall(r"```toml\n(.*?)```", page.read_text(), re.DOTALL):
        whole = text if re.search(r"^\[networks", text, re.MULTILINE) and "rpc_" in text else None
        if whole is None:
            whole = text if "stacks" in text else f'[networks.base]\nrpc_url = "wss://node.example"\n{text}'
        assert parse(whole, page.name, ROOT).networks


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_within_the_project_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_no_package_index_is_named_in_any_requirements_file() -> None:
    for path in [*(ROOT / "requirements").iterdir(), ROOT / ".npmrc"]:
        assert not re.search(r"https?://|--index|--extra|registry=", path.read_text()), path
    for lock in (ROOT / "package-lock.json", ROOT / "tests" / "clients" / "package-lock.json"):
        assert '"resolved"' not in lock.read_text()
