"""Runs this process with a share of a core, as Fargate runs a task with less than one vCPU."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PERIOD_US = 100_000
_V1, _V2 = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")


@contextmanager
def cpu_quota(share: float | None) -> Iterator[None]:
    """Limit this process to a share (0…) of one core until the end. None: no limit. It needs Linux, and root.

    Children that run already are not limited. Raise `OSError` if the system does not let this process limit itself.
    """
    if share is None:
        yield
        return
    is_v1 = (_V1 / "cpu.cfs_quota_us").exists()
    group = (_V1 if is_v1 else _V2) / f"chaincast-{os.getpid()}"
    group.mkdir()
    quota = int(share * PERIOD_US)
    if is_v1:
        (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
        (group / "cpu.cfs_quota_us").write_text(str(quota))
    else:
        (group / "cpu.max").write_text(f"{quota} {PERIOD_US}")
    (group / "cgroup.procs").write_text(str(os.getpid()))
    try:
        yield
    finally:
        (group.parent / "cgroup.procs").write_text(str(os.getpid()))
        group.rmdir()
