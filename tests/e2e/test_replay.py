from __future__ import annotations

import asyncio
import os
import subprocess
from dataclasses import replace
from pathlib import Path

from chaincast.eventlog import archive_format
from local.stack.checkout import CHAINCAST, REGION
from local.stack.local_stack import LocalStack
from tests.e2e.administrator import endpoint, session
from tests.e2e.client import Client
from tests.factories import make_batch, make_event


def replay(stack: LocalStack, *arguments: str) -> subprocess.CompletedProcess[str]:
    """With the stack's own S3 as the one that archives are in."""
    command = [CHAINCAST, "import-archive", "--port", str(stack.options.port), *arguments]
    credentials = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": REGION}
    environment = os.environ | stack.emulator.environment | credentials
    return subprocess.run(command, capture_output=True, text=True, timeout=400, check=False, env=environment)


def write(folder: Path, source: str, count: int) -> list[str]:
    """An archive of some batches; the ids of their events."""
    batches = [
        replace(make_batch(make_event(number), seq=number), source=source, block=None, block_hash=None)
        for number in range(1, count + 1)
    ]
    path = folder / archive_format.name_of(batches)
    path.parent.mkdir(parents=True)
    path.write_bytes(archive_format.encode(batches))
    return [event.id for batch in batches for event in batch.events]


async def test_an_archive_is_told_again_by_the_local_stack(stack: LocalStack, tmp_path: Path) -> None:
    ids = write(tmp_path, "app-0", 6)
    async with Client(stack.outputs.websocket_url) as client:
        await client.message("connected")
        await client.subscribe("network:anvil")  # the topics of the archived events
        done = await asyncio.to_thread(replay, stack, str(tmp_path), "--after", "000000000002")
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        assert "4 batches, 4 events so far" in done.stderr
        await client.until_event(ids[-1])
    assert [event["id"] for event in client.events] == ids[2:]


def upload(stack: LocalStack, folder: Path) -> None:
    """An archive to the bucket `archive` of the stack's S3."""
    s3 = session().client("s3", endpoint_url=endpoint(stack))
    s3.create_bucket(Bucket="archive")
    for path in folder.rglob("*.gz"):
        s3.upload_file(str(path), "archive", path.relative_to(folder).as_posix())


async def test_an_archive_in_s3_is_read_there(stack: LocalStack, tmp_path: Path) -> None:
    ids = write(tmp_path, "app-0", 2)
    upload(stack, tmp_path)
    async with Client(stack.outputs.websocket_url) as client:
        await client.message("connected")
        await client.subscribe("network:anvil")
        done = await asyncio.to_thread(replay, stack, "s3://archive", "--source", "app-0")
        assert done.returncode == 0, done.stderr
        await client.until_event(ids[-1])


def test_what_cannot_be_replayed_is_said(stack: LocalStack, tmp_path: Path) -> None:
    done = replay(stack, str(tmp_path / "nowhere"))
    assert done.returncode == 1
    assert "no such file or folder" in done.stderr
    write(tmp_path / "a", "anvil", 1)
    assert "source 'anvil': a listener of the local stack writes it" in replay(stack, str(tmp_path / "a")).stderr
    write(tmp_path / "b", "moon", 1)
    assert "source 'moon': the local stack has only" in replay(stack, str(tmp_path / "b")).stderr
    assert "it has no batches to import" in replay(stack, str(tmp_path / "b"), "--source", "app-0").stderr
