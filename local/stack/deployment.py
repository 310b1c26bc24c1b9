"""MiniStack, and the stack deployed to it by the ordinary CDK command line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from local.stack.processes import Child, spawn, wait_until_up
from local.stack.swap import remember_stack
from local.stack.tools import (
    ACCOUNT,
    BUILD,
    MINISTACK_PYTHON,
    NPM_BIN,
    REGION,
    ROOT,
    StepFailed,
    aws_environment,
    port_taken,
)

STACK = "Chaincast"
OUTPUTS_FILE = "outputs.json"
_START_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Outputs:
    """What the deployed stack says of itself."""

    websocket_url: str
    api_id: str
    http_url: str
    """Of the HTTP API; empty where there is none."""
    jwt_secret: str
    """What clients' tokens are signed with: the secret's name; empty where nobody is asked for one."""
    listener_role_arn: str
    listener_environment: dict[str, str]


class Emulator:
    """One MiniStack process on one port of loopback. `auth` makes it enforce IAM policies; `config` is deployed instead
    of chaincast.toml; `script` is what runs it."""

    def __init__(
        self,
        port: int,
        run: Path,
        *,
        auth: bool,
        config: Path | None = None,
        script: Path = ROOT / "local" / "stack" / "emulator.py",
    ) -> None:
        self._config = config
        self._script = script
        self.port = port
        self.endpoint = f"http://127.0.0.1:{port}"
        self.environment = aws_environment(self.endpoint)
        self._run = run
        self._auth = auth

    def start(self) -> Child:
        """Start it and wait until it answers. Raises `StepFailed`."""
        if port_taken(self.port):
            raise StepFailed(
                "MiniStack", f"port {self.port} is in use", "stop what listens there, or choose another: --port N"
            )
        temporary = self._run / "tmp"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        environment = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")} | {
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.port),
            "LAMBDA_EXECUTOR": "local",
            "AUTH": "true" if self._auth else "false",
            "TMPDIR": str(temporary),
            "PYTHONUNBUFFERED": "1",
        }
        child = spawn("MiniStack", [str(MINISTACK_PYTHON), str(self._script)], environment, self.log, ROOT)
        return wait_until_up(child, self._answers, _START_SECONDS, f"read {self.log}")

    def _answers(self) -> None:
        urllib.request.urlopen(f"{self.endpoint}/_ministack/health", timeout=1).close()

    @property
    def log(self) -> Path:
        return self._run / "ministack.log"

    def bootstrap(self) -> None:
        """`cdk bootstrap`: the buckets and roles that a deployment needs."""
        # Away from cdk.json: bootstrapping needs no synthesis of the app.
        self._cdk("cdk bootstrap", self._run, "bootstrap", f"aws://{ACCOUNT}/{REGION}")

    def deploy(self) -> Outputs:
        """`cdk deploy`: the same stack as in production, its assets for this machine's platform."""
        path = self._run / OUTPUTS_FILE
        self._cdk("cdk deploy", ROOT, "deploy", STACK, "--require-approval", "never", "--outputs-file", str(path))
        remember_stack(self._run)
        values: dict[str, str] = json.loads(path.read_text())[STACK]
        api_id = values["ApiId"]
        stage = values["WebSocketUrl"].rpartition("/")[2]
        names = ("LOG_TABLE", "HISTORY_TABLE", "STATE_TABLE", "FANOUT_QUEUE_URL")
        return Outputs(
            # AWS answers at {api}.execute-api.{region}.amazonaws.com; MiniStack at a path of its port.
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
        command = [str(NPM_BIN / "cdk"), *arguments, "--output", str(self._run / "cdk.out"), "--no-notices"]
        for name, value in context.items():
            command += ["--context", f"{name}={value}"]
        log = self._run / "cdk.log"
        done = subprocess.run(command, cwd=cwd, env=self.environment, capture_output=True, text=True, check=False)
        log.write_text(done.stdout + done.stderr)
        if done.returncode:
            why = "\n".join((done.stderr + done.stdout).strip().splitlines()[-25:])
            raise StepFailed(step, why, f"the whole output is in {log.relative_to(ROOT)}")


def _python_version() -> str:
    """The version of the Python that runs the functions: MiniStack's own."""
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([str(MINISTACK_PYTHON), "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def local_http_url(port: int) -> str:
    """The HTTP API of the stack that runs on a port of this machine. Raises `StepFailed`."""
    path = run_directory(port) / OUTPUTS_FILE
    if not path.exists():
        raise StepFailed("connect", f"no stack runs on port {port} of this machine", "make dev, or give a URL")
    return _http_url(port, json.loads(path.read_text())[STACK].get("HttpUrl", ""))


def _http_url(port: int, url: str) -> str:
    """Where MiniStack answers for an HTTP API's default stage."""
    api_id = url.partition("://")[2].partition(".")[0]
    return f"http://127.0.0.1:{port}/_aws/execute-api/{api_id}/$default" if api_id else ""


def run_directory(port: int) -> Path:
    """Where one stack keeps its logs and temporary files."""
    return BUILD / f"local-{port}"
