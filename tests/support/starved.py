"""A process that truly waits for a CPU."""

import contextlib
import os
import subprocess
from collections.abc import Iterator

from orchestrator.process.tool import bound_to_us


@contextlib.contextmanager
def starved_process() -> Iterator[int]:
    """Give the pid of a process that shares one CPU with three others."""
    cpu = min(os.sched_getaffinity(0))
    command = [*bound_to_us(), "taskset", "-c", str(cpu), "sh", "-c", "while :; do :; done"]
    loops = [subprocess.Popen(command) for _ in range(4)]
    try:
        yield loops[0].pid
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
