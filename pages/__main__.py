"""`python -m pages FOLDER`: write the documents and their page; the functions' settings come on standard input."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pages.asyncapi import asyncapi
from pages.openapi import openapi
from pages.page import page


def main() -> int:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    sockets, http = asyncapi(), openapi(sys.stdin.read())
    for name, document in (("asyncapi.json", sockets), ("openapi.json", http)):
        (folder / name).write_text(json.dumps(document, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
    (folder / "index.html").write_text(page(sockets, http), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
