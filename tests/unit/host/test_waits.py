"""A process that waits for a CPU is told from one that is stopped or sleeps."""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import cast

import pytest

from orchestrator.host.protocol import QemuProcess
from orchestrator.host.thread_times import ThreadTimes
from orchestrator.host.waits import Waits, why_waited
from tests.support.processes import wait_until
from tests.support.starved import starved_process


class FromNow(ThreadTimes):
    """What a process waits from now on, as if it began now: its start has waits of its own."""

    def __init__(self, pid: int) -> None:
        self.pid, self.before_ns = pid, 0
        self.before_ns = asyncio.run(self.waited_ns(()))
        self.began_ns = time.monotonic_ns()

    async def waited_ns(self, besides: Collection[int]) -> int:
        return await super().waited_ns(besides) - self.before_ns

    def why(self) -> str:
        passed_ns = time.monotonic_ns() - self.began_ns
        return asyncio.run(why_waited(cast(QemuProcess, self), passed_ns))


def is_in(pid: int, state: str) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == state


def stop(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)
    assert wait_until(lambda: is_in(pid, "T"))


@contextlib.contextmanager
def idle_process(*, stopped: bool) -> Iterator[int]:
    """Give the pid of a process that sleeps or is stopped by now, and end it."""
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            # A parent may go on before its child has begun to run the program.
            comm = Path(f"/proc/{process.pid}/comm")
            assert wait_until(lambda: comm.read_text() == "sleep\n" and is_in(process.pid, "S"))
            if stopped:
                stop(process.pid)
            yield process.pid
        finally:
            process.kill()


def test_a_process_that_shares_its_cpu_waited() -> None:
    with starved_process() as pid:
        process, waits = FromNow(pid), Waits(pid)
        time.sleep(1)
        assert re.search(r"waited \d+\.\d s for a CPU in the \d+\.\d s since", process.why())
        assert re.search(r"waited for a CPU for \d+\.\d of \d+\.\d s\)", waits.excuse())
        stop(pid)
        waits.restart()
        time.sleep(0.1)
        assert waits.excuse() == "", "what it waited before does not count"


@pytest.mark.parametrize("stopped", [True, False])
def test_a_process_that_is_stopped_or_sleeps_waited_for_none(*, stopped: bool) -> None:
    with idle_process(stopped=stopped) as pid:
        process, waits = FromNow(pid), Waits(pid)
        time.sleep(1)
        assert process.why() == ""
        assert waits.excuse() == ""
    assert process.why() == "", "it has ended"
    assert waits.excuse() == "", "it has ended"
