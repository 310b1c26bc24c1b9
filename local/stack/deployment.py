"""The AWS emulator MiniStack, and the deployment of the stack to it by the ordinary CDK command line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from local.errors import StepFailed
from local.stack.checkout import ACCOUNT, BUILD, MINISTACK_PYTHON, NPM_BIN, REGION, ROOT, aws_environment, port_taken
from local.stack.code_update import save_fingerprint
from local.stack.processes import Child, spawn, wait_until_up

STACK = "Chaincast"
"""Name of the CloudFormation stack."""
OUTPUTS_FILE = "outputs.json"
"""File in the run directory with the stack's outputs, as `cdk deploy` writes it."""
URL_FILE = "websocket-url"
"""File in the run directory that `chaincast dev` writes while the stack runs."""
_START_SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class StackOutputs:
    """The outputs of the deployed stack, with URLs as they are reachable on this machine."""

    websocket_url: str
    api_id: str
    http_url: str
    """URL of the HTTP API; empty if the stack has none."""
    jwt_secret: str
    """Id of the secret that client tokens are signed with; empty if the stack has none."""
    listener_role_arn: str
    listener_environment: dict[str, str]


class Emulator:
    """One MiniStack process on a port of loopback, and the CDK commands that deploy to it.

    `enforce_iam`: True to enforce IAM policies. `config`: configuration to deploy instead of chaincast.toml. `script`:
    Python script that runs MiniStack.
    """

    def __init__(
        self,
        port: int,
        directory: Path,
        *,
        enforce_iam: bool,
        config: Path | None = None,
        script: Path = ROOT / "local" / "stack" / "patched_ministack.py",
    ) -> None:
        self._config = config
        self._script = script
        self.port = port
        self.endpoint = f"http://127.0.0.1:{port}"
        self.environment = aws_environment(self.endpoint)
        self._directory = directory
        self._enforce_iam = enforce_iam

    def check_port(self) -> None:
        """Raise `StepFailed` if another process uses the port."""
        if port_taken(self.port):
            advice = "stop the process that listens on it, or choose another port with --port N"
            raise StepFailed("MiniStack", f"port {self.port} is in use", advice)

    def start(self) -> Child:
        """Start it and wait until it responds. Raises `StepFailed`."""
        self.check_port()
        temporary = self._directory / "tmp"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        environment = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")} | {
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.port),
            "LAMBDA_EXECUTOR": "local",
            "AUTH": "true" if self._enforce_iam else "false",
            "TMPDIR": str(temporary),
            "PYTHONUNBUFFERED": "1",
        }
        child = spawn("MiniStack", [str(MINISTACK_PYTHON), str(self._script)], environment, self.log, ROOT)
        return wait_until_up(child, self._check_health, _START_SECONDS, f"read {self.log}")

    def _check_health(self) -> None:
        urllib.request.urlopen(f"{self.endpoint}/_ministack/health", timeout=1).close()

    @property
    def log(self) -> Path:
        """The file that MiniStack's output goes to."""
        return self._directory / "ministack.log"

    def bootstrap(self) -> None:
        """Run `cdk bootstrap`, which creates the buckets and roles that deployments need. Raises `StepFailed`."""
        # In another directory than cdk.json, because bootstrapping needs no synthesis of the app.
        self._cdk("cdk bootstrap", self._directory, "bootstrap", f"aws://{ACCOUNT}/{REGION}")

    def deploy(self) -> StackOutputs:
        """Run `cdk deploy` for the production stack, with assets for this machine's platform. Raises `StepFailed`."""
        path = self._directory / OUTPUTS_FILE
        self._cdk("cdk deploy", ROOT, "deploy", STACK, "--require-approval", "never", "--outputs-file", str(path))
        save_fingerprint(self._directory)
        values: dict[str, str] = json.loads(path.read_text())[STACK]
        api_id = values["ApiId"]
        stage = values["WebSocketUrl"].rpartition("/")[2]
        names = ("LOG_TABLE", "HISTORY_TABLE", "STATE_TABLE", "FANOUT_QUEUE_URL")
        return StackOutputs(
            # AWS serves APIs at {api}.execute-api.{region}.amazonaws.com, MiniStack at a path of its port.
            websocket_url=f"ws://127.0.0.1:{self.port}/_aws/execute-api/{api_id}/{stage}",
            api_id=api_id,
            http_url=_http_url(self.port, values.get("HttpUrl", "")),
            jwt_secret=values.get("JwtSecret", ""),
            listener_role_arn=values["ListenerRoleArn"],
            listener_environment={
                f"CHAINCAST_{n}": values["".join(p.capitalize() for p in n.split("_"))] for n in names
            },
        )

    def _cdk(self, step: str, cwd: Path, *arguments: str) -> None:
        context = {
            "local": "true",
            "python": _python_version(),
            "management_endpoint": f"{self.endpoint}/_aws/execute-api/{{api}}/{{stage}}",
        }
        if self._config:
            context["config"] = os.path.relpath(self._config, ROOT)
        command = [str(NPM_BIN / "cdk"), *arguments, "--output", str(self._directory / "cdk.out"), "--no-notices"]
        for name, value in context.items():
            command += ["--context", f"{name}={value}"]
        log = self._directory / "cdk.log"
        done = subprocess.run(command, cwd=cwd, env=self.environment, capture_output=True, text=True, check=False)
        log.write_text(done.stdout + done.stderr)
        if done.returncode:
            why = "\n".join((done.stderr + done.stdout).strip().splitlines()[-25:])
            raise StepFailed(step, why, f"read the whole output in {log.relative_to(ROOT)}")


def _python_version() -> str:
    """Return the version of the Python that runs the functions, which is that of MiniStack, e.g. "3.13"."""
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([str(MINISTACK_PYTHON), "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def local_websocket_url(port: int) -> str:
    """Return the WebSocket URL of the local stack on a port. Raises `StepFailed` if none is running."""
    path = run_directory(port) / URL_FILE
    if not path.exists():
        raise _not_running(port)
    return path.read_text()


def local_http_url(port: int) -> str:
    """Return the URL of the local stack's HTTP API, empty if it has none. Raises `StepFailed`."""
    return _http_url(port, read_outputs(port).get("HttpUrl", ""))


def read_outputs(port: int) -> dict[str, str]:
    """Return the outputs of the local stack on a port, by name. Raises `StepFailed` if none was deployed."""
    path = run_directory(port) / OUTPUTS_FILE
    if not path.exists():
        raise _not_running(port)
    outputs: dict[str, str] = json.loads(path.read_text())[STACK]
    return outputs


def _not_running(port: int) -> StepFailed:
    return StepFailed(
        "connect", f"no stack runs on port {port} of this machine", "start it with make dev, or give the URL of another"
    )


def _http_url(port: int, url: str) -> str:
    """Return the URL at which MiniStack serves the default stage of an HTTP API."""
    api_id = url.partition("://")[2].partition(".")[0]
    return f"http://127.0.0.1:{port}/_aws/execute-api/{api_id}/$default" if api_id else ""


def run_directory(port: int) -> Path:
    """Return the directory for the logs and temporary files of the local stack on a port."""
    return BUILD / f"local-{port}"
