"""The short way of `chaincast redeploy`: where only the functions' code changed, swap it and leave the stack alone.

What `cdk deploy --hotswap` does, without the ten seconds of synthesis. Everything else goes through `cdk deploy`.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from infra.bundling import code_directory
from infra.settings import Switches, read_configuration
from local.stack.administrator import session
from local.stack.tools import ROOT

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

STACK_INPUTS = (
    "infra/**/*.py",
    "chaincast/config/*.py",
    "chaincast/config/function_settings.py",
    "chaincast.toml",
    "cdk.json",
)
PACKAGES = "requirements/functions.txt"
_MARKER = "stack-inputs"


def stack_fingerprint() -> str:
    """Of everything but the functions' code that the deployed stack is made from."""
    digest = hashlib.sha256()
    for pattern in (*STACK_INPUTS, PACKAGES):
        for path in sorted(ROOT.glob(pattern)):
            digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def remember_stack(run: Path) -> None:
    """Note what the stack was deployed from."""
    (run / _MARKER).write_text(stack_fingerprint())


def only_code_changed(run: Path) -> bool:
    """Whether the stack that runs is what `cdk deploy` would make now, but for the functions' code."""
    marker = run / _MARKER
    return marker.exists() and marker.read_text() == stack_fingerprint()


def swap_code(endpoint: str) -> int:
    """Give every function of the stack the code as it is now; how many there are."""
    client: LambdaClient = session().client("lambda", endpoint_url=endpoint)
    configuration = read_configuration(
        Switches(ROOT / "chaincast.toml", local=True, python="", management_endpoint=None)
    )
    kinds, settings = configuration["publish"]["kinds"], configuration["settings"]
    ours = [f for f in client.list_functions()["Functions"] if f["Handler"].startswith("functions.")]
    for function in ours:
        code = code_directory(function["Handler"].split(".")[1], kinds, settings)
        client.update_function_code(FunctionName=function["FunctionName"], ZipFile=archive(code))
    return len(ours)


def archive(folder: Path) -> bytes:
    """A folder as Lambda gets it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder))
    return buffer.getvalue()
