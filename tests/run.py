"""`make test`: run all tests, several stages side by side, and report what runs and how far it is.

Each lane runs its stages one after the other; lanes run in parallel. The lanes mix stages that compute (unit and
integration tests, on all cores) with stages that mostly wait for a stack. A stage's output goes to a file and is
printed whole if the stage fails.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOGS = ROOT / ".build" / "tests"
PYTEST = (sys.executable, "-m", "pytest", "-q")
PARALLEL = ("--numprocesses=auto", "--maxprocesses=4", "--dist=worksteal")
REPORT_SECONDS = 30
COMPUTING = 5
"""Niceness of stages that only compute. Stages with a stack wait for answers of clients, nodes and functions within
limits; those that compute use the CPU that is left."""
FAILURE_CHARACTERS = 400
LOOP = 1_000_000
FAST_SECONDS = 0.1
"""Time for `LOOP` on a core that is fast enough for a stage with a stack."""

GUARD = ("attacks", "least_privilege")
"""End-to-end tests of what keeps strangers out. They start stacks of their own."""
OPERATE = ("status", "crashes", "deploying", "shards", "standby", "torn_connections")
"""End-to-end tests that kill, change or load a stack of their own. Those of figures come first: a function's process
keeps a few counts of earlier tests in memory until it is invoked again (chaincast/metrics/counters.py)."""
COMMANDS = ("command_line", "own_node")
"""End-to-end tests of the `chaincast` commands, which start stacks themselves."""


def _files(names: Sequence[str]) -> list[str]:
    return [f"tests/e2e/test_{name}.py" for name in names]


@dataclass(slots=True)
class Stage:
    """One command of the test run, which waits for the stages `after` to end.

    `started`, `ended`: seconds of the monotonic clock, 0 before.
    """

    name: str
    command: Sequence[str]
    after: Sequence[str] = ()
    niceness: int = 0
    """How much less of the CPU the stage gets when others want it, too (`nice -n`)."""
    has_stack: bool = False
    """True if the stage runs local stacks, each of which has several processes."""
    started: float = 0.0
    ended: float = 0.0
    status: int | None = None
    cpu_seconds: float = 0.0
    """CPU time of the stage's processes."""
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.log = LOGS / f"{self.name}.log"

    def seconds(self) -> float:
        """Return how long the stage has run."""
        return (self.ended or time.monotonic()) - self.started if self.started else 0.0

    def progress(self) -> str:
        """Return the share of its tests that are done, as pytest last printed it."""
        shares = re.findall(r"\[ *(\d+)%\]", self.log.read_text(errors="replace")) if self.log.exists() else []
        return f"{self.name} {shares[-1]} %" if shares else self.name

    def failures(self) -> list[str]:
        """Return the lines of pytest's summary that name a test which failed."""
        lines = self.log.read_text(errors="replace").splitlines()
        return [line[:FAILURE_CHARACTERS] for line in lines if line.startswith(("FAILED ", "ERROR "))]

    def summary(self) -> str:
        """Return the last line of the output: with pytest, the numbers of tests."""
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1].strip("= ") if lines else ""


def lanes() -> list[list[Stage]]:
    """Return the stages, lane by lane."""
    delivered = ["tests/e2e", *(f"--ignore={file}" for file in _files([*GUARD, *OPERATE, *COMMANDS]))]
    return [
        [
            Stage("clients", [sys.executable, "local/maintenance/bootstrap.py", "--clients"]),
            Stage("unit", [*PYTEST, "tests/unit", *PARALLEL], niceness=COMPUTING),
            Stage("integration", [*PYTEST, "tests/integration", *PARALLEL], niceness=COMPUTING),
        ],
        [
            Stage("check", ["make", "--no-print-directory", "check"], niceness=COMPUTING),
            Stage("infra", [*PYTEST, "tests/infra"], niceness=COMPUTING),
            Stage("guard", [*PYTEST, *_files(GUARD)], has_stack=True),
        ],
        [Stage("operate", [*PYTEST, *_files(OPERATE)], has_stack=True)],
        [Stage("commands", [*PYTEST, *_files(COMMANDS)], has_stack=True)],
        [
            Stage("client", [*PYTEST, "tests/client"], after=("clients",)),
            Stage("deliver", [*PYTEST, *delivered], has_stack=True),
            Stage("benchmarks", [*PYTEST, "tests/benchmarks"], has_stack=True),
        ],
    ]


class Run:
    """A run of all lanes."""

    def __init__(self) -> None:
        self._lanes = lanes()
        self._stacks = threading.Semaphore(stacks_at_once(seconds_of_a_loop(), os.cpu_count() or 1))
        self._started = time.monotonic()
        self._lock = threading.Lock()
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._stopping = False

    def finish(self) -> int:
        """Run everything; return 0 if every stage passed."""
        LOGS.mkdir(parents=True, exist_ok=True)
        threads = [threading.Thread(target=self._run_lane, args=(lane,), daemon=True) for lane in self._lanes]
        for thread in threads:
            thread.start()
        due = time.monotonic() + REPORT_SECONDS
        while any(thread.is_alive() for thread in threads):
            for thread in threads:
                thread.join(0.2)
            if time.monotonic() >= due:
                due += REPORT_SECONDS
                self._say(
                    " · ".join(stage.progress() for stage in self._stages() if stage.status is None and stage.started)
                )
        failed = [stage for stage in self._stages() if stage.status]
        for stage in failed:  # once more, at the end, where a reader looks first
            print("\n".join([f"\n--- {stage.name}, in {stage.log}", *stage.failures()]))
        self._say(f"failed: {', '.join(stage.name for stage in failed)}" if failed else "all tests passed")
        return 1 if failed else 0

    def stop(self) -> None:
        """Stop all stages."""
        self._stopping = True
        for process in list(self._processes):
            os.killpg(process.pid, signal.SIGINT)

    def _running(self) -> list[Stage]:
        return [stage for stage in self._stages() if stage.started and stage.status is None]

    def _stages(self) -> list[Stage]:
        return [stage for lane in self._lanes for stage in lane]

    def _run_lane(self, lane: list[Stage]) -> None:
        for stage in lane:
            for name in stage.after:
                self._wait_for(name)
            if self._stopping:
                return
            with self._stacks if stage.has_stack else nullcontext(), stage.log.open("wb") as log:
                stage.started = time.monotonic()
                command = ("nice", "-n", str(stage.niceness), *stage.command) if stage.niceness else stage.command
                process = subprocess.Popen(
                    command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
                )
                self._processes.add(process)
                _, status, usage = os.wait4(process.pid, 0)
                self._processes.discard(process)
            stage.cpu_seconds = usage.ru_utime + usage.ru_stime
            stage.ended, stage.status = time.monotonic(), os.waitstatus_to_exitcode(status)
            self._report(stage)

    def _wait_for(self, name: str) -> None:
        awaited = [stage for stage in self._stages() if stage.name == name]
        while any(stage.status is None for stage in awaited) and not self._stopping:
            time.sleep(0.2)

    def _report(self, stage: Stage) -> None:
        with self._lock:
            if stage.status:
                output = stage.log.read_text(errors="replace")
                print(f"\n--- {stage.name} failed ({shlex.join(stage.command)})\n{output}")
            verdict = "failed" if stage.status else "passed"
            times = f"{_clock(stage.seconds())}, CPU {_clock(stage.cpu_seconds)}"
            self._say(f"{verdict}: {stage.name} ({times}): {stage.summary()}")

    def _say(self, text: str) -> None:
        print(f"[{_clock(time.monotonic() - self._started)}] {text}", flush=True)


def seconds_of_a_loop() -> float:
    """Return how long a core takes for a fixed loop: the shortest of a few times, without interruptions."""

    def measured() -> float:
        began = time.perf_counter()
        sum(number * number for number in range(LOOP))
        return time.perf_counter() - began

    return min(measured() for _ in range(5))


def stacks_at_once(seconds: float, cores: int) -> int:
    """Return how many stages may run stacks side by side on a machine of this speed (`seconds_of_a_loop`).

    The real clients and servers in these tests have time limits, which a machine that is overloaded would exceed.
    """
    return max(1, min(cores, int(cores * FAST_SECONDS / seconds)))


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def main() -> int:
    """Run all tests. Return the exit status."""
    run = Run()
    try:
        return run.finish()
    except KeyboardInterrupt:
        run.stop()
        return 130


if __name__ == "__main__":
    sys.exit(main())
