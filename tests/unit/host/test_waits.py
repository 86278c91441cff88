"""A process that waits for a CPU is told from one that is stopped or sleeps."""

import asyncio
import os
import signal
import subprocess
import time
from typing import cast

import pytest

from orchestrator.host.protocol import QemuProcess
from orchestrator.host.thread_times import ThreadTimes
from orchestrator.host.waits import why_waited
from tests.support.starved import starved_process


def why(pid: int, since_ns: int) -> str:
    process = ThreadTimes()
    process.pid = pid
    passed_ns = time.monotonic_ns() - since_ns
    return asyncio.run(why_waited(cast(QemuProcess, process), passed_ns))


def test_a_process_that_shares_its_cpu_waited() -> None:
    with starved_process() as pid:
        began_ns = time.monotonic_ns()
        time.sleep(1)
        assert "s for a CPU in the 1." in why(pid, began_ns)


@pytest.mark.parametrize("stopped", [True, False])
def test_a_process_that_is_stopped_or_sleeps_waited_for_none(*, stopped: bool) -> None:
    began_ns = time.monotonic_ns()
    with subprocess.Popen(["sleep", "60"]) as process:
        if stopped:
            os.kill(process.pid, signal.SIGSTOP)
        time.sleep(1)
        assert why(process.pid, began_ns) == ""
        process.kill()
    assert why(process.pid, began_ns) == "", "it has ended"
