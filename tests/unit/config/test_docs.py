from __future__ import annotations

from pathlib import Path

from chaincast.config.reference import markdown

DOCS = Path(__file__).parents[3] / "docs"


def test_the_reference_in_the_docs_is_the_models() -> None:
    assert markdown() in (DOCS / "configuration.md").read_text()
