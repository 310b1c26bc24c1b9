"""Docstrings, comments, messages and pages contain none of the words and openings that tests/prose.py refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.prose import ROOT, files, passages, riddles


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_in_plain_english(path: Path) -> None:
    refused = [f"{line}: {', '.join(found)}" for line, text in passages(path) if (found := riddles(text))]
    assert refused == []


@pytest.mark.parametrize(
    "text",
    [
        "Of one item: its size.",
        "Whether it is open.",
        "What the client was told.",
        "Wait for what nobody announces.",
        "Reads blocks.\n\nWhose lease is over must stop.",
        "As said, the log is short (DESIGN 4).",
        "The creator has sold all that he bought.",
    ],
)
def test_a_riddle_is_refused(text: str) -> None:
    assert riddles(text) != []


@pytest.mark.parametrize(
    "text",
    [
        "Return the size of an item in bytes.",
        "Return True if the connection is open. Raise `CodecError` for any other text.",
        "What happens to a batch that fan-out could not deliver?",
        'The message "nobody" is quoted, and `told` is code.',
    ],
)
def test_a_plain_sentence_passes(text: str) -> None:
    assert riddles(text) == []


def test_comments_docstrings_messages_and_help_are_read(tmp_path: Path) -> None:
    path = tmp_path / "sample.py"
    path.write_text(
        '"""Module."""\n'
        "x = 1  # a comment\n"
        "def f():\n"
        '    """Function."""\n'
        '    raise ValueError(f"message {x}")\n'
        'add_argument("--x", help="help")\n'
    )
    assert sorted(text for _, text in passages(path)) == ["Function.", "Module.", "a comment", "help", "message x"]
