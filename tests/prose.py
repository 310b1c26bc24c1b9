"""A check that docstrings, comments, messages and pages are plain English.

It refuses words and openings that make a reader guess: sentences without a subject ("Of one item: …"), pronouns without
a person ("nobody"), and words that say less than the field's own term. Run it on some files with `python -m tests.prose
PATH …`.
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]

WORDS = re.compile(
    r"\b(told|tell|tells|telling|nobody|somebody|anybody|everybody|whoever|whomever|anew|besides|"
    r"so many|so much|any more|as above|as said|is said|are said|there is to|of old|"
    r"he|him|his|she|her|hers|DESIGN \d+)\b",
    re.IGNORECASE,
)
OPENINGS = re.compile(r"(?:^|(?<=[.:!?] )|(?<=\n\n))(Of|Whose|What|Whether|Who|Whom|That|As above)\b(?![^.!?]*\?)")
"""Openings of sentences that have no subject. A question that is asked in full may begin so."""

CODE = re.compile(r"`[^`\n]*`|\"[^\"\n]*\"|https?://\S+")
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)


def riddles(text: str) -> list[str]:
    """Return the words and openings of a text that are refused. Code and quoted words count as neither."""
    plain = CODE.sub("`x`", text)
    return [match.group(0) for pattern in (WORDS, OPENINGS) for match in pattern.finditer(plain)]


def passages(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line, text) of everything in a file that a person reads: a page, or a module's docstrings and so on."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        text = FENCE.sub(lambda fence: "\n" * fence.group(0).count("\n"), text)
        for paragraph in re.finditer(r"(?:^.*\S.*$\n?)+", text, re.MULTILINE):
            yield text.count("\n", 0, paragraph.start()) + 1, paragraph.group(0).strip()
        return
    if path.suffix in {".ts", ".tsx", ".mjs"}:
        for comment in re.finditer(r"/\*\*?((?:.|\n)*?)\*/|^\s*//(.*)$", text, re.MULTILINE):
            words = (comment[1] or comment[2] or "").strip()
            yield text.count("\n", 0, comment.start()) + 1, re.sub(r"\n\s*\*? ?", "\n", words)
        return
    yield from _comments(text)
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Expr(value=ast.Constant(value=str(docstring)), lineno=line):
                yield line, re.sub(r"\n[ ]+", "\n", docstring)
            case ast.Raise(exc=ast.Call(args=arguments)):
                yield from ((node.lineno, literal) for argument in arguments for literal in _literals(argument))
            case ast.keyword(arg="help" | "description" | "epilog" | "advice", value=value):
                yield from ((value.lineno, literal) for literal in _literals(value))


def _comments(text: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT and not token.string.startswith(("#!", "# noqa", "# type:", "# fmt")):
            yield token.start[0], token.string.removeprefix("#").strip()


def _literals(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=values):
            yield "".join(part.value if isinstance(part, ast.Constant) else "x" for part in values)  # type: ignore[misc]


def files() -> list[Path]:
    """Return the project's Python and TypeScript files and pages, as git knows them."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py", "*.md", "*.ts", "*.mjs"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.splitlines() if (ROOT / name).exists()]


def main(names: list[str]) -> int:
    """Print what is refused in the named files and folders, or in all; return how many passages are refused."""
    roots = [Path(name).resolve() for name in names] or [ROOT]
    refused = 0
    for path in files():
        if not any(path.is_relative_to(root) for root in roots):
            continue
        for line, text in passages(path):
            if found := riddles(text):
                refused += 1
                print(f"{path.relative_to(ROOT)}:{line}: {', '.join(found)}: {' '.join(text.split())[:160]}")
    print(f"{refused} passages refused")
    return refused


if __name__ == "__main__":
    sys.exit(bool(main(sys.argv[1:])))
