"""The audit archive: `functions/archive.py` on moto, and what `chaincast import-archive` reads."""

from __future__ import annotations

import gzip
import importlib
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType

import pytest

from chaincast.aws import boto_clients, environment
from chaincast.config.function_settings import Settings
from chaincast.errors import CodecError
from chaincast.eventlog import archive_format
from chaincast.eventlog.archiver import Overtaken
from chaincast.model.batches import Batch, Retraction
from functions.composition import make_appender
from tests.factories import make_batch, make_event
from tests.integration.helpers import logged
from tests.lambda_functions import Context

BUCKET = "archive"


@pytest.fixture
def archiving(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.setenv(environment.ARCHIVE_BUCKET, BUCKET)
    boto_clients.s3.cache_clear()
    boto_clients.s3().create_bucket(Bucket=BUCKET)
    sys.modules.pop("functions.archive", None)
    yield importlib.import_module("functions.archive")
    sys.modules.pop("functions.archive", None)
    boto_clients.s3.cache_clear()


def files() -> dict[str, bytes]:
    listed = boto_clients.s3().list_objects_v2(Bucket=BUCKET).get("Contents", [])
    return {i["Key"]: boto_clients.s3().get_object(Bucket=BUCKET, Key=i["Key"])["Body"].read() for i in listed}


def append(settings: Settings, count: int, source: str = "anvil") -> None:
    appender = make_appender(settings)
    for _ in range(count):
        appender.append([replace(make_batch(make_event(0), make_event(1)), source=source, seq=0)])


def test_what_is_new_is_archived_once(archiving: ModuleType, settings: Settings) -> None:
    append(settings, 3)
    append(settings, 1, "app-0")
    assert archiving.handler({}, Context()) == {"anvil": 3, "app-0": 1}
    assert archiving.handler({}, Context()) == {"anvil": 0, "app-0": 0}
    append(settings, 2)
    assert archiving.handler({}, Context()) == {"anvil": 2, "app-0": 0}
    found = files()
    assert list(found) == [
        "source=anvil/date=2023-11-14/000000000001-000000000003.jsonl.gz",
        "source=anvil/date=2023-11-14/000000000004-000000000005.jsonl.gz",
        "source=app-0/date=2023-11-14/000000000001-000000000001.jsonl.gz",
    ]
    read = [batch for data in found.values() for batch in archive_format.decode(data)]
    assert read == [*(b for b in logged() if b.source == "anvil"), *(b for b in logged() if b.source == "app-0")]
    line = json.loads(gzip.decompress(found["source=app-0/date=2023-11-14/000000000001-000000000001.jsonl.gz"]))
    assert line["events"][0]["kind"] == "trade"


def test_long_stretches_are_several_files(
    archiving: ModuleType, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chaincast.eventlog.archiver.MAX_EVENTS", 4)
    append(settings, 5)
    archiving.handler({}, Context())
    assert [len(archive_format.decode(data)) for data in files().values()] == [2, 2, 1]


def test_two_at_once_do_not_both_move_on(archiving: ModuleType, settings: Settings) -> None:
    append(settings, 2)
    archiver = archiving.archiver
    mark = archiver._mark

    def overtaken(source: str) -> int:
        before: int = mark(source)
        archiver._mark = mark
        archiver.archive(source)
        return before

    archiver._mark = overtaken
    with pytest.raises(Overtaken):
        archiver.archive("anvil")
    assert [len(archive_format.decode(data)) for data in files().values()] == [2]


def test_a_file_is_the_same_bytes_for_the_same_batches_and_damage_is_named() -> None:
    batch = make_batch(make_event(0), retracted=(Retraction("anvil:1:00000000:0", ("network:anvil",)),))
    batches: list[Batch] = [batch, replace(batch, seq=batch.seq + 1, events=())]
    assert archive_format.encode(batches) == archive_format.encode(batches)
    assert archive_format.decode(archive_format.encode(batches)) == batches
    for damaged in (
        b"",
        b"nonsense",
        archive_format.encode(batches)[:-5],
        gzip.compress(b"{}\n"),
        gzip.compress(b"[1]\n"),
    ):
        with pytest.raises(CodecError) as error:
            archive_format.decode(damaged)
        assert str(error.value)
