"""The whole local stack as one object: start, redeploy, stop. `make dev` and the end-to-end tests use the same."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from chaincast.config.load import load
from chaincast.config.network import url_variable
from local.stack.chain import Node, deploy_launchpad
from local.stack.console import start_console
from local.stack.deployment import Emulator, Outputs, run_directory
from local.stack.processes import Child, spawn, wait_until_up
from local.stack.tools import PYTHON, ROOT, StepFailed

_LISTENER_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Options:
    """How to start. `rpc` is a node of the user's, followed instead of anvil; `block_time` None mines on demand."""

    port: int = 4566
    node_port: int = 8545
    console_port: int | None = None
    """Where the live console is served; `None`: nowhere."""
    network: str = "anvil"
    others: tuple[str, ...] = ()
    """Networks that the listener follows besides, at the URLs of the configuration."""
    rpc: str | None = None
    auth: bool = False
    config: Path | None = None
    """Another configuration than chaincast.toml, for stack and listener."""
    block_time: float | None = 1.0
    emulator: Path | None = None
    """What runs MiniStack instead of local/stack/emulator.py."""
    seed: int | None = 1
    """Of the demo market; `None`: no market."""


@dataclass(slots=True)
class LocalStack:
    """A running stack. Use as a context manager: leaving it stops everything."""

    options: Options
    step: Callable[[str], contextlib.AbstractContextManager[None]] = field(default=lambda _: contextlib.nullcontext())
    children: list[Child] = field(default_factory=list)
    _outputs: Outputs | None = None

    @property
    def run(self) -> Path:
        return run_directory(self.options.port)

    @property
    def outputs(self) -> Outputs:
        assert self._outputs is not None, "not started"
        return self._outputs

    @property
    def node(self) -> Node:
        return Node(self.options.node_port)

    @property
    def emulator(self) -> Emulator:
        options = self.options
        script = options.emulator or ROOT / "local" / "stack" / "emulator.py"
        return Emulator(options.port, self.run, auth=options.auth, config=options.config, script=script)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start what the options ask for, step by step. Raises `StepFailed`."""
        self.run.mkdir(parents=True, exist_ok=True)
        for old in self.run.glob("*.log"):
            old.unlink()
        with self.step("MiniStack: AWS on this machine"):
            self.children.append(self.emulator.start())
        if self.options.rpc is None:
            with self.step("anvil: an EVM node, with the demo launchpad"):
                self.children.append(self.node.start(self.run / "anvil.log", block_time=self.options.block_time))
                deploy_launchpad(self.node, mine=self.options.block_time is None)
        with self.step("cdk bootstrap"):
            self.emulator.bootstrap()
        with self.step("cdk deploy: the stack, as production gets it"):
            self._outputs = self.emulator.deploy()
        with self.step(f"listener: following {', '.join((self.options.network, *self.options.others))}"):
            self.start_listener()
        if self.options.console_port is not None:
            with self.step("live console"):
                self.children.append(self._start_console(self.options.console_port))
        if self.options.rpc is None and self.options.seed is not None:
            with self.step(f"demo market, seed {self.options.seed}"):
                command = [PYTHON, "-m", "local.stack.market", str(self.options.node_port), str(self.options.seed)]
                self.children.append(spawn("market", command, os.environ, self.run / "market.log", ROOT))

    def _start_console(self, port: int) -> Child:
        return start_console(
            self.run,
            port,
            websocket_url=self.outputs.websocket_url,
            networks=(self.options.network, *self.options.others),
            auth=load(self.options.config or ROOT / "chaincast.toml").auth.mode,
        )

    def redeploy(self) -> None:
        """Deploy again after a change; only what changed is replaced."""
        self._outputs = self.emulator.deploy()

    def start_listener(
        self, name: str = "listener", config: Path | None = None, *, owner: str = "local", standby: bool = False
    ) -> Child:
        """Start a listener with the environment its container would have; returns once it holds the lease.

        `config`: another configuration than the deployed one, as a new deployment's listener would have it. `owner`:
        who it is to others. `standby`: another holds the lease; returns as soon as it runs.
        """
        log = self.run / f"{name}.log"
        begun = len(log.read_text()) if log.exists() else 0
        config = config or self.options.config
        environment = self.listener_environment() | ({"CHAINCAST_CONFIG": str(config)} if config else {})
        environment |= {"CHAINCAST_OWNER": owner, "CHAINCAST_HEALTH_FOLDER": str(self.run / f"{name}-health")}
        sign = "starting" if standby else "lease taken"
        child = spawn(name, [PYTHON, "-m", "listener"], environment, log, ROOT)
        self.children.append(child)

        def is_there() -> None:
            if sign not in child.log.read_text()[begun:]:
                raise BlockingIOError("not yet")

        try:
            return wait_until_up(child, is_there, _LISTENER_SECONDS, f"read {child.log}")
        except StepFailed:
            self.children.remove(child)
            raise

    def stop_child(self, child: Child) -> None:
        """Stop one process of the stack for good."""
        child.stop()
        self.children.remove(child)

    def listener_environment(self) -> dict[str, str]:
        """What the stack gives a listener's container, and where this machine differs."""
        environment = self.emulator.environment | self.outputs.listener_environment
        environment |= {
            "CHAINCAST_NETWORK": ",".join((self.options.network, *self.options.others)),
            url_variable(self.options.network): self.options.rpc or self.node.ws_url,
            "PYTHONUNBUFFERED": "1",
        }
        if self.options.auth:
            environment |= self._listener_role()
        return environment

    def _listener_role(self) -> dict[str, str]:
        """Credentials of the template's own role, which the SDK fetches and refreshes by itself.

        On AWS the role trusts ECS; here nobody is ECS, so this account is let in as well.
        """
        from local.stack.administrator import session

        arn = self.outputs.listener_role_arn
        endpoint = self.emulator.endpoint
        account = arn.split(":")[4]
        trust = (
            '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",'
            f'"Principal":{{"AWS":"arn:aws:iam::{account}:root"}}}}]}}'
        )
        iam = session().client("iam", endpoint_url=endpoint)
        iam.update_assume_role_policy(RoleName=arn.rpartition("/")[2], PolicyDocument=trust)
        config = self.run / "aws-config"
        config.write_text(
            f"[profile listener]\nrole_arn = {arn}\nsource_profile = administrator\nregion = us-east-1\n"
            "[profile administrator]\naws_access_key_id = test\naws_secret_access_key = test\nregion = us-east-1\n"
        )
        return {
            "AWS_PROFILE": "listener",
            "AWS_CONFIG_FILE": str(config),
            "AWS_ACCESS_KEY_ID": "",
            "AWS_SECRET_ACCESS_KEY": "",
        }

    def stop(self) -> None:
        """Stop every process, the last started first."""
        while self.children:
            self.children.pop().stop()
