"""The cold start of each function, from its bundled assets, under AWS's own runtime client (awslambdaric).

A process is started as Lambda starts it, with only the function's code and layers, and with a runtime API that this
program serves. The time ends when the process requests its first event; its memory is measured then. `--stack` also
measures the first call of a function on the local stack, where a new worker first unpacks code and layers, which Lambda
does before the start. Each figure is the minimum of several runs.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from benchmarks.imports import environment
from benchmarks.report import finish, parser, show
from chaincast.status.collector import FUNCTIONS
from infra.bundling import BUILD, atomic_directory, code_directory, layer_directory, layers_of
from infra.settings import Switches, read_configuration
from local.stack.administrator import session
from local.stack.checkout import ROOT, free_port
from local.stack.code_update import update_functions, zip_directory
from local.stack.local_stack import LocalStack, StackOptions

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

SECONDS = 60.0


class RuntimeApi:
    """The part of Lambda's runtime API up to the first event. Source: "Using the Lambda runtime API"."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.failure = ""
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                api.asked.set()
                threading.Event().wait(SECONDS)  # the first event never comes

            def do_POST(self) -> None:
                api.failure = self.rfile.read(int(self.headers["content-length"])).decode(errors="replace")
                self.send_response(202)
                self.end_headers()
                api.asked.set()

            def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - as above
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def started(module: str, paths: list[Path], runtime: Path) -> Iterator[tuple[RuntimeApi, subprocess.Popen[bytes]]]:
    """Start a function's process, without the environment of this checkout."""
    api = RuntimeApi()
    search = os.pathsep.join(str(path) for path in (*paths, runtime))
    variables = environment() | {
        "AWS_LAMBDA_RUNTIME_API": api.address,
        "PYTHONPATH": search,
        "LAMBDA_TASK_ROOT": str(paths[0]),
        "AWS_LAMBDA_FUNCTION_NAME": module,
        "PYTHONDONTWRITEBYTECODE": "1",  # /opt and /var/task are read-only in Lambda
    }
    command = [sys.executable, "-S", "-m", "awslambdaric", f"functions.{module}.handler"]
    process = subprocess.Popen(command, cwd=paths[0], env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        yield api, process
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
        api.close()


def measure(module: str, paths: list[Path], runtime: Path, runs: int) -> tuple[float, float]:
    """Return the milliseconds until the first event is requested, and the megabytes of memory at that time."""
    times, memory = [], []
    for _ in range(runs):
        began = perf_counter()
        with started(module, paths, runtime) as (api, process):
            assert api.asked.wait(SECONDS), f"functions/{module}.py does not start"
            times.append((perf_counter() - began) * 1000)
            assert not api.failure, f"functions/{module}.py: {api.failure}"
            memory.append(_resident(process.pid))
    return min(times), min(memory)


def fresh_workers(runs: int) -> dict[str, float]:
    """Return the milliseconds until a new MiniStack worker responds, by function.

    The functions do not know the event that they receive.
    """
    found: dict[str, float] = {}
    with LocalStack(StackOptions(port=free_port(), node_port=free_port(), block_time=None, seed=None)) as stack:
        client: LambdaClient = session().client("lambda", endpoint_url=stack.emulator.endpoint)
        functions = [f for f in client.list_functions()["Functions"] if f["Handler"].startswith("functions.")]
        for _ in range(runs):
            update_functions(stack.emulator.endpoint)  # ends all workers
            for function in functions:
                module = function["Handler"].split(".")[1]
                began = perf_counter()
                client.invoke(FunctionName=function["FunctionName"], Payload=b"{}")["Payload"].read()
                found[module] = min(found.get(module, math.inf), (perf_counter() - began) * 1000)
    return found


def _resident(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


def unzipped(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def runtime_client() -> Path:
    """Install awslambdaric outside of the functions' assets. Return the directory."""
    target = BUILD / "runtime-client"
    if not target.exists():
        with atomic_directory(target) as folder:
            command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--target", str(folder)]
            command += ["--require-hashes", "--no-deps", "-r", str(ROOT / "requirements" / "runtime.txt")]
            subprocess.run(command, check=True)
    return target


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--stack", action="store_true", help="in the local stack, too")
    arguments = options.parse_args()
    runs = 1 if arguments.quick else arguments.runs
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    switches = Switches(ROOT / "chaincast.toml", local=True, python=python, management_endpoint=None)
    configuration = read_configuration(switches)
    runtime, rows, figures = runtime_client(), [], {}
    fresh = fresh_workers(runs) if arguments.stack else {}
    for module in FUNCTIONS:
        code = code_directory(module, configuration["publish"]["kinds"], configuration["settings"], python)
        layers = {name: layer_directory(name, switches) for name in layers_of(module)}
        paths = [code, *(folder / "python" for folder in layers.values())]
        milliseconds, megabytes = measure(module, paths, runtime, runs)
        sizes = {
            "code_kb": len(zip_directory(code)) / 1024,
            "all_mb": sum(map(unzipped, (code, *layers.values()))) / 2**20,
        }
        figures[module] = {"ms": milliseconds, "mb": megabytes, **sizes, "layers": [*layers]}
        figures[module] |= {"stack_ms": fresh[module]} if module in fresh else {}
        rows.append(
            [
                module,
                f"{milliseconds:.0f}",
                f"{fresh[module]:.0f}" if module in fresh else "-",
                f"{megabytes:.0f}",
                f"{sizes['code_kb']:.0f}",
                f"{sizes['all_mb']:.1f}",
                " ".join(layers),
            ]
        )
    columns = ["function", "start ms", "local stack ms", "memory MB", "code KB (zip)", "unpacked MB", "layers"]
    show(f"cold starts under awslambdaric, Python {python}", columns, rows)
    finish(arguments, figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
