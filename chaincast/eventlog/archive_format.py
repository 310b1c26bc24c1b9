"""The format of the archive: batches as gzipped JSON lines, one file per run of a source's batches. Pure.

Names are like `source=bsc/date=2026-11-21/000000000042-000000000099.jsonl.gz`, so that query engines can select files
by name.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime

import orjson

from chaincast.errors import CodecError
from chaincast.model.batches import Batch, batch_of, document_of
from chaincast.model.cursors import format_cursor

NAME = re.compile(r"source=(?P<source>[^/]+)/date=[0-9-]+/(?P<first>\d+)-(?P<last>\d+)\.jsonl\.gz$")


def name_of(batches: Sequence[Batch]) -> str:
    """Return the name of the file for consecutive batches of one source."""
    first, last = batches[0], batches[-1]
    date = datetime.fromtimestamp(first.timestamp / 1000, UTC).strftime("%Y-%m-%d")
    return f"source={first.source}/date={date}/{format_cursor(first.seq)}-{format_cursor(last.seq)}.jsonl.gz"


def encode(batches: Sequence[Batch]) -> bytes:
    """Return the file's contents. Equal batches give equal bytes."""
    return gzip.compress(b"".join(orjson.dumps(document_of(batch)) + b"\n" for batch in batches), 6, mtime=0)


def decode(data: bytes) -> list[Batch]:
    """Return the batches of a file. Raise `CodecError`."""
    if not data:
        raise CodecError("not an archive of batches: it is empty")
    try:
        return [batch_of(orjson.loads(line)) for line in gzip.decompress(data).splitlines()]
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise CodecError(f"not an archive of batches: {error}") from error
