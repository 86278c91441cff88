"""Processes that read runs, one for each CPU.

They end with the process that started them, however that ends.
"""

import ctypes
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from orchestrator.fleet.read_run import Fault, Job, Run, Trouble, read_run
from orchestrator.process.supervisor import PR_SET_PDEATHSIG
from orchestrator.results.history.entry import Entry

#: Runs for fewer than which no process is started: that takes longer than to read them.
_FEW = 32

#: Runs that a process gets at a time, and how many such are waited for.
_AT_A_TIME, _AHEAD = 8, 3

Read = tuple[Run, Entry] | Fault


def read_all(jobs: Sequence[Job], processes: int | None = None) -> Iterator[Read]:
    """Yield the runs of jobs, in their order.

    A run whose reading ends its process, for instance because memory ran out, is a fault of that
    run; the others are read all the same.
    """
    count = processes or len(os.sched_getaffinity(0))
    if len(jobs) < _FEW or count < 2:
        yield from map(read_run, jobs)
        return
    groups = [jobs[at : at + _AT_A_TIME] for at in range(0, len(jobs), _AT_A_TIME)]
    place = 0
    while place < len(groups):
        try:
            for found in _read_groups(groups[place:], count):
                yield from found
                place += 1
        except BrokenProcessPool:
            for job in groups[place]:
                yield _read_alone(job)
            place += 1


def _read_groups(groups: Sequence[Sequence[Job]], count: int) -> Iterator[list[Read]]:
    """Yield what is read, group by group.

    Raises:
        BrokenProcessPool: a process ended. It had one of the groups that were not yielded yet.
    """
    pool = _pool(count)
    try:
        waiting: deque[Future[list[Read]]] = deque()
        left = iter(groups)
        while True:
            while len(waiting) < _AHEAD * count and (group := next(left, None)) is not None:
                waiting.append(pool.submit(_read_group, group))
            if not waiting:
                return
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _read_alone(job: Job) -> Read:
    pool = _pool(1)
    try:
        return pool.submit(read_run, job).result()
    except BrokenProcessPool:
        return Fault(
            Trouble.UNREADABLE,
            f"reading {job.folder}: the process that read it was ended. Is memory short, or the "
            "journal huge?",
        )
    finally:
        pool.shutdown(cancel_futures=True)


def _read_group(jobs: Sequence[Job]) -> list[Read]:
    return [read_run(job) for job in jobs]


def _pool(count: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        count, multiprocessing.get_context("spawn"), _end_with, (os.getpid(),)
    )


def _end_with(parent: int) -> None:
    """Let this process end with its parent, and leave Ctrl-C to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
