"""A test runs each command in README and docs, and each link leads to an existing place."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from chaincast.config.load import parse

ROOT = Path(__file__).parents[3]
PAGES = [
    *(
        ROOT / name
        for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "client/README.md", "examples/README.md")
    ),
    *sorted((ROOT / "docs").glob("*.md")),
]

RUN_BY = {
    "make dev": "tests/e2e/test_command_line.py",
    "make tail ARGS=\"--topic 'trades:*:*'\"": "tests/e2e/test_command_line.py",
    'make dev ARGS="--rpc wss://your-provider.example/bsc-testnet"': "tests/e2e/test_own_node.py",
    'make dev ARGS="--rpc wss://your-provider.example/base"': "tests/e2e/test_own_node.py",
    "make redeploy": "tests/e2e/test_command_line.py",
    "make setup": ".ci/run",
    "make test": ".ci/run",
    "make client": "tests/client/test_package.py",
    "make hooks": "tests/unit/docs/test_hooks.py",
    "npm --prefix examples/react ci": "tests/e2e/test_examples.py",
    "npm --prefix examples/react run build": "tests/e2e/test_examples.py",
    "npm --prefix examples/node-socketio ci": "tests/e2e/test_examples.py",
    "node examples/node-socketio/index.mjs": "tests/e2e/test_examples.py",
    ".venv/bin/python examples/python-bot/bot.py": "tests/e2e/test_examples.py",
    "python3 -m http.server 8000 --bind 127.0.0.1": "local/stack/console.py",
    ".venv/bin/chaincast token ann": "tests/e2e/test_command_line.py",
    ".venv/bin/chaincast import-archive s3://your-archive-bucket": "tests/e2e/test_replay.py",
    "node_modules/.bin/cdk bootstrap": "local/stack/deployment.py",
    "node_modules/.bin/cdk deploy": "local/stack/deployment.py",
    "node_modules/.bin/cdk deploy --context stage=dev": "tests/infra/test_observability.py",
    ".venv/bin/chaincast check --deploy": "tests/unit/local/test_check.py",
    ".venv/bin/chaincast doctor": "tests/e2e/test_command_line.py",
    ".venv/bin/chaincast redrive": "tests/e2e/test_command_line.py",
    ".venv/bin/chaincast redrive --move": "tests/e2e/test_command_line.py",
    ".venv/bin/chaincast reset-checkpoint bsc-testnet --block 41000000 --yes": "tests/e2e/test_deploying.py",
    ".venv/bin/chaincast load --clients 100 --duration 10": "tests/e2e/test_command_line.py",
    ".venv/bin/chaincast cost --connections 10000 --events-per-second 50 --subscribers-per-event 200": (
        "tests/e2e/test_command_line.py"
    ),
    "make chaos": "tests/chaos/__main__.py",
    "make simulate": "tests/integration/test_interleavings.py",
}
"""Command → what runs it (the CDK's by every end-to-end test, through local/stack/deployment.py)."""


def commands(page: Path) -> list[str]:
    blocks = re.findall(r"```console\n(.*?)```", page.read_text(), re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def test_each_command_in_the_docs_has_a_test_that_runs_it() -> None:
    told = {command for page in PAGES for command in commands(page)}
    assert told == set(RUN_BY)
    assert all((ROOT / runner).exists() for runner in RUN_BY.values())


@pytest.mark.parametrize("page", PAGES, ids=lambda p: f"{p.parent.name}-{p.name}")
def test_every_example_of_a_configuration_is_valid(page: Path) -> None:
    for text in re.findall(r"```toml\n(.*?)```", page.read_text(), re.DOTALL):
        whole = text if re.search(r"^\[networks", text, re.MULTILINE) and "rpc_" in text else None
        if "networks.anvil" in text:
            whole = (ROOT / "chaincast.toml").read_text() + text  # where it is to be added
        if whole is None:
            whole = text if "stacks" in text else f'[networks.base]\nrpc_url = "wss://node.example"\n{text}'
        assert parse(whole, page.name, ROOT).networks


def test_python_in_the_docs_has_the_right_types(tmp_path: Path) -> None:
    """But for what is a file of its own, which docs/adding-events.md's test makes."""
    blocks = [block for page in PAGES for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)]
    files = [tmp_path / f"example_{number}.py" for number in range(len(blocks))]
    for file, block in zip(files, blocks, strict=True):
        file.write_text(block)
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path), *map(str, files)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda p: f"{p.parent.name}-{p.name}")
def test_links_within_the_project_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_no_package_index_is_named_in_any_requirements_file() -> None:
    for path in [*(ROOT / "requirements").iterdir(), ROOT / ".npmrc"]:
        assert not re.search(r"https?://|--index|--extra|registry=", path.read_text()), path
    for lock in ROOT.glob("**/package-lock.json"):
        if "node_modules" not in lock.parts:
            assert not re.search(r'"resolved": "http', lock.read_text()), lock


def test_the_way_of_a_trade_names_at_most_22_files_that_exist() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    section = page.partition("## The way of a trade")[2].partition("\n## ")[0]
    files = re.findall(r"^\| \d+ \| `([^`]+)` \|", section, re.MULTILINE)
    assert 15 <= len(files) <= 22
    assert [file for file in files if not (ROOT / file).is_file()] == []


def test_the_architecture_has_a_line_for_each_package() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    packages = {path.parent.name for path in (ROOT / "chaincast").glob("*/__init__.py")}
    assert packages <= set(re.findall(r"`(\w+)/`", page))
