"""The messages in tests/e2e/documented have the shapes that the documents of the five servers show."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from local.stack.checkout import ROOT
from tests.e2e.documents import FOLDER, shape

DOCUMENTS = ROOT.parent / "shared" / "reference"


def examples(server: str) -> list[Any]:
    """Return all JSON examples of a server's document."""
    text = (DOCUMENTS / f"{server}.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```(?:json|typescript|javascript)\n(\{.*?)```", text, re.DOTALL)
    found = []
    for block in blocks:
        try:
            found.append(json.loads(re.sub(r"//.*", "", block)))
        except ValueError:
            continue  # a block of code
    return found


@pytest.mark.skipif(not DOCUMENTS.exists(), reason=f"no {DOCUMENTS}: the documents are beside the project, not in it")
@pytest.mark.parametrize("server", ["coremem", "moonx-service"])
def test_messages_have_the_shape_of_the_document(server: str) -> None:
    messages = json.loads((FOLDER / f"{server}.json").read_text(encoding="utf-8"))
    shown = [shape(example) for example in examples(server)]
    assert {name: message for name, message in messages.items() if shape(message) not in shown} == {}
