"""The whole local stack as one object, which `make dev` and the end-to-end tests start, redeploy and stop."""

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
from local.errors import StepFailed
from local.stack.chain import Node, deploy_launchpad
from local.stack.checkout import PYTHON, ROOT
from local.stack.console import start_console
from local.stack.deployment import Emulator, StackOutputs, run_directory
from local.stack.processes import Child, spawn, wait_until_up

_LISTENER_SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class StackOptions:
    """Options of a local stack."""

    port: int = 4566
    """Port of MiniStack."""
    node_port: int = 8545
    """Port of anvil."""
    console_port: int | None = None
    """Port of the live console; None for no console."""
    network: str = "anvil"
    """Network of the configuration that the node belongs to."""
    other_networks: tuple[str, ...] = ()
    """Further networks that the listener follows, at the URLs of the configuration."""
    rpc: str | None = None
    """RPC URL of a node to follow instead of anvil."""
    enforce_iam: bool = False
    """True to enforce the IAM policies of the template."""
    config: Path | None = None
    """Configuration of stack and listener; None for chaincast.toml."""
    block_time: float | None = 1.0
    """Seconds between blocks of anvil; None to mine on demand only."""
    emulator: Path | None = None
    """Script that runs MiniStack; None for local/stack/patched_ministack.py."""
    seed: int | None = 1
    """Random seed of the demo market; None for no market."""


@dataclass(slots=True)
class LocalStack:
    """A local stack. As a context manager it is started on entry and stopped on exit.

    `step` is entered with the name of each step while the step runs.
    """

    options: StackOptions
    step: Callable[[str], contextlib.AbstractContextManager[None]] = field(default=lambda _: contextlib.nullcontext())
    children: list[Child] = field(default_factory=list)
    _outputs: StackOutputs | None = None

    @property
    def directory(self) -> Path:
        """The directory of logs and temporary files."""
        return run_directory(self.options.port)

    @property
    def outputs(self) -> StackOutputs:
        """The outputs of the deployed stack, which must have been started."""
        assert self._outputs is not None, "not started"
        return self._outputs

    @property
    def node(self) -> Node:
        """The client of anvil."""
        return Node(self.options.node_port)

    @property
    def emulator(self) -> Emulator:
        """MiniStack, and the CDK commands that deploy to it."""
        options = self.options
        script = options.emulator or ROOT / "local" / "stack" / "patched_ministack.py"
        return Emulator(
            options.port, self.directory, enforce_iam=options.enforce_iam, config=options.config, script=script
        )

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
        """Start everything that the options name, step by step. Raises `StepFailed`."""
        self.emulator.check_port()  # the directory may be that of a running stack
        self.directory.mkdir(parents=True, exist_ok=True)
        for old in self.directory.glob("*.log"):
            old.unlink()
        with self.step("MiniStack: the AWS emulator"):
            self.children.append(self.emulator.start())
        if self.options.rpc is None:
            with self.step("anvil: an EVM node, with the demo launchpad"):
                self.children.append(self.node.start(self.directory / "anvil.log", block_time=self.options.block_time))
                deploy_launchpad(self.node, mine=self.options.block_time is None)
        with self.step("cdk bootstrap"):
            self.emulator.bootstrap()
        with self.step("cdk deploy: the production stack"):
            self._outputs = self.emulator.deploy()
        with self.step(f"listener: following {', '.join(self.networks)}"):
            self.start_listener()
        if self.options.console_port is not None:
            with self.step("live console"):
                self.children.append(self._start_console(self.options.console_port))
        if self.options.rpc is None and self.options.seed is not None:
            with self.step(f"demo market, seed {self.options.seed}"):
                command = [PYTHON, "-m", "local.stack.demo_market", str(self.options.node_port), str(self.options.seed)]
                self.children.append(spawn("market", command, os.environ, self.directory / "market.log", ROOT))

    @property
    def networks(self) -> tuple[str, ...]:
        """The networks that the listener follows."""
        return (self.options.network, *self.options.other_networks)

    def _start_console(self, port: int) -> Child:
        return start_console(
            self.directory,
            port,
            websocket_url=self.outputs.websocket_url,
            networks=self.networks,
            auth=load(self.options.config or ROOT / "chaincast.toml").auth.mode,
        )

    def start_listener(
        self, name: str = "listener", config: Path | None = None, *, owner: str = "local", standby: bool = False
    ) -> Child:
        """Start a listener with the environment of its container, and wait until it holds the lease.

        `config`: configuration of this listener, if it differs from the deployed one. `owner`: its name as a lease
        holder. `standby`: True if another listener holds the lease; then wait only until the process runs.
        """
        log = self.directory / f"{name}.log"
        log_start = len(log.read_text()) if log.exists() else 0
        config = config or self.options.config
        environment = self.listener_environment() | ({"CHAINCAST_CONFIG": str(config)} if config else {})
        environment |= {"CHAINCAST_OWNER": owner, "CHAINCAST_HEALTH_FOLDER": str(self.directory / f"{name}-health")}
        expected = "starting" if standby else "lease taken"
        child = spawn(name, [PYTHON, "-m", "listener"], environment, log, ROOT)
        self.children.append(child)

        def probe() -> None:
            if expected not in child.log.read_text()[log_start:]:
                raise BlockingIOError

        try:
            return wait_until_up(child, probe, _LISTENER_SECONDS, f"read {child.log}")
        except StepFailed:
            self.children.remove(child)
            raise

    def stop_child(self, child: Child) -> None:
        """Stop one process of the stack."""
        child.stop()
        self.children.remove(child)

    def listener_environment(self) -> dict[str, str]:
        """Return the environment of a listener: that of its container, adapted to this machine."""
        environment = self.emulator.environment | self.outputs.listener_environment
        environment |= {
            "CHAINCAST_NETWORK": ",".join(self.networks),
            url_variable(self.options.network): self.options.rpc or self.node.ws_url,
            "PYTHONUNBUFFERED": "1",
        }
        if self.options.enforce_iam:
            environment |= self._assume_listener_role()
        return environment

    def _assume_listener_role(self) -> dict[str, str]:
        """Return an environment in which the AWS SDK assumes the listener's role and refreshes its credentials.

        On AWS the role trusts ECS. MiniStack runs no ECS tasks, so this method makes the role trust the account.
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
        config = self.directory / "aws-config"
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
        """Stop all processes in reverse order of their start."""
        while self.children:
            self.children.pop().stop()
