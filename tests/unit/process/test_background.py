import asyncio
import fcntl
import threading
import time
from pathlib import Path

import pytest

from orchestrator.cache.workshop import LOCK, workshop
from orchestrator.process.background import WorkCancelled, current_job, in_thread, on_loop
from orchestrator.process.tool import run_tool


async def cancelled(task: "asyncio.Task[object]") -> float:
    """Cancel a task and return the seconds until it has ended."""
    began = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return time.monotonic() - began


async def test_a_cancelled_task_kills_its_tool() -> None:
    begun, ended = asyncio.Event(), threading.Event()
    tell = on_loop(lambda line: begun.set())

    def work() -> None:
        try:
            run_tool(["sh", "-c", "echo begun; sleep 60 & wait"], "sleeping", on_line=tell)
        finally:
            with pytest.raises(WorkCancelled):
                run_tool(["true"], "going on")
            ended.set()

    task = asyncio.create_task(in_thread(work))
    await begun.wait()
    assert await cancelled(task) < 20
    assert ended.is_set()  # the thread has ended, too


async def test_a_cancelled_task_waits_no_longer_for_a_lock(tmp_path: Path) -> None:
    waiting = asyncio.Event()

    def build() -> None:
        told()
        with workshop(tmp_path):
            pytest.fail("another has the lock")

    told = on_loop(waiting.set)
    with (tmp_path / LOCK).open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        task = asyncio.create_task(in_thread(build))
        await waiting.wait()
        assert await cancelled(task) < 20
    with workshop(tmp_path):  # and it left none
        pass


async def test_work_returns_and_raises_as_ever() -> None:
    assert await in_thread(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await in_thread(divmod, 7, 0)
    assert current_job() is not current_job()  # nobody cancels work outside of it
