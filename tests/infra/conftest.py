"""Templates as `cdk synth` produces them, of stacks with different configurations."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from local.stack.checkout import ROOT, node_environment

Template: TypeAlias = dict[str, Any]  # a CloudFormation template
Resource: TypeAlias = dict[str, Any]

NETWORK = """
[networks.bsc-testnet]
chain_id = 97
rpc_url = "wss://node.example/bsc"
cpu = 512
memory = 2048

[[networks.bsc-testnet.contracts]]
adapter = "launchpad"
address = "0x00000000000000000000000000000000000000aa"

[networks.base]
rpc_secret = "chaincast/rpc#base"

[kafka]
bootstrap_servers = ["broker.example:9092"]
secret = "chaincast/kafka"
topics = ["price.updates", "trade.notifications"]

[archive]
enabled = true
retention_days = 400
"""

CLUSTER = "arn:aws:kafka:eu-central-1:111122223333:cluster/team/5e5a1c2b-0d7b-4c7e-9a51-0f2d6f0a1b2c-3"
MSK = f"""
[kafka]
cluster_arn = "{CLUSTER}"
topics = ["price.updates", "trade.notifications"]
"""

JWT = """
[publish]
auth = "jwt"
issuer = "https://issuer.example"
audience = ["backends"]
scope = "events/write"
kinds."game.scored" = { type = "object" }

[admin]
auth = "jwt"
issuer = "https://issuer.example"
audience = ["operators"]
"""


def synthesize(output: Path, **context: str) -> subprocess.CompletedProcess[str]:
    """Run the CDK app as the CDK command line does."""
    settings = json.loads((ROOT / "cdk.json").read_text())["context"] | context
    environment = {
        **node_environment(),
        "CDK_CONTEXT_JSON": json.dumps(settings),
        "CDK_OUTDIR": str(output),
        "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "1",
    }
    return subprocess.run(
        [sys.executable, "-m", "infra.app"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def read_template(output: Path) -> Template:
    template: Template = json.loads((output / "Chaincast.template.json").read_text())
    return template


@pytest.fixture(scope="session")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The production assembly of the project's own configuration, with networks and Kafka added."""
    return _synthesize(tmp_path_factory.mktemp("assembly"), NETWORK)


def _synthesize(output: Path, added: str, auth: str = 'mode = "optional"', fanout: str = "", **context: str) -> Path:
    config = ROOT / ".build" / f"test-{output.name}.toml"
    config.parent.mkdir(exist_ok=True)
    ours = (ROOT / "chaincast.toml").read_text()
    assert 'mode = "optional"' in ours
    config.write_text(ours.replace('mode = "optional"', auth).replace("[fanout]\n", f"[fanout]\n{fanout}") + added)
    done = synthesize(output, config=os.path.relpath(config, ROOT), **context)
    config.unlink()
    assert done.returncode == 0, done.stderr + done.stdout
    return output


@pytest.fixture(scope="session")
def template(assembly: Path) -> Template:
    return read_template(assembly)


@pytest.fixture(scope="session")
def local_template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    switches = {"local": "true", "python": "3.11", "management_endpoint": "http://127.0.0.1:1/{api}/{stage}"}
    return read_template(_synthesize(tmp_path_factory.mktemp("local"), NETWORK, **switches))


@pytest.fixture(scope="session")
def keys_template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """The template of a stack with public keys for tokens, the console, MSK, and concurrency reserved for fan-out."""
    auth = 'mode = "required"\njwks_url = "https://issuer.example/keys"'
    added = MSK + "[console]\nenabled = true\n"
    return read_template(_synthesize(tmp_path_factory.mktemp("keys"), added, auth, "reserved_concurrency = 20\n"))


@pytest.fixture(scope="session")
def jwt_template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """The template of a stack whose publishers and clients have tokens, and with an event kind of the team's own."""
    auth = 'mode = "required"\nsecret = "team/jwt"'
    return read_template(_synthesize(tmp_path_factory.mktemp("jwt"), JWT, auth))


@pytest.fixture(scope="session")
def console_template(keys_template: Template) -> Template:
    """The template of a stack with the live console."""
    return keys_template
