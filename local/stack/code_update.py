"""The fast path of `chaincast redeploy`: if only code of functions changed, update it without `cdk deploy`.

It does what `cdk deploy --hotswap` does, without the ten seconds of synthesis. All other changes need `cdk deploy`.
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
from local.stack.checkout import ROOT

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

STACK_INPUTS = (
    "infra/**/*.py",
    "chaincast/config/*.py",
    "chaincast.toml",
    "cdk.json",
    "requirements/functions.txt",
)
"""The files that the stack is deployed from, other than the code of the functions."""
_FINGERPRINT_FILE = "stack-inputs"


def stack_fingerprint() -> str:
    """Return a digest of `STACK_INPUTS`."""
    digest = hashlib.sha256()
    for pattern in STACK_INPUTS:
        for path in sorted(ROOT.glob(pattern)):
            digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def save_fingerprint(directory: Path) -> None:
    """Record what the stack was deployed from, in its run directory."""
    (directory / _FINGERPRINT_FILE).write_text(stack_fingerprint())


def only_code_changed(directory: Path) -> bool:
    """Return True if `cdk deploy` would change nothing in the running stack except code of functions."""
    path = directory / _FINGERPRINT_FILE
    return path.exists() and path.read_text() == stack_fingerprint()


def update_functions(endpoint: str) -> int:
    """Update the code of every function of the stack. Return the number of functions."""
    client: LambdaClient = session().client("lambda", endpoint_url=endpoint)
    configuration = read_configuration(
        Switches(ROOT / "chaincast.toml", local=True, python="", management_endpoint=None)
    )
    kinds, settings = configuration["publish"]["kinds"], configuration["settings"]
    functions = [f for f in client.list_functions()["Functions"] if f["Handler"].startswith("functions.")]
    for function in functions:
        code = code_directory(function["Handler"].split(".")[1], kinds, settings, function["Runtime"][len("python") :])
        client.update_function_code(FunctionName=function["FunctionName"], ZipFile=zip_directory(code))
    return len(functions)


def zip_directory(folder: Path) -> bytes:
    """Return a folder as a zip archive, as Lambda expects it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder))
    return buffer.getvalue()
