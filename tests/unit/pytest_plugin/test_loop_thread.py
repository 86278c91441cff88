"""The loop for tests that are no coroutines."""

import asyncio
import os
import signal
import threading
from collections.abc import Iterator

import pytest

from orchestrator.pytest_plugin.loop_thread import LoopThread


@pytest.fixture
def loop() -> Iterator[LoopThread]:
    loop = LoopThread()
    yield loop
    loop.close()
    assert not any(thread.name == "losttick" for thread in threading.enumerate())


def test_work_goes_on_between_two_calls(loop: LoopThread) -> None:
    done: list[str] = []

    async def begin() -> "asyncio.Task[None]":
        async def later() -> None:
            await asyncio.sleep(0)
            done.append("later")

        return asyncio.create_task(later())

    task = loop.run(begin())

    async def wait() -> None:
        await task

    loop.run(wait())
    assert done == ["later"]


def test_an_error_is_raised_where_the_work_was_asked_for(loop: LoopThread) -> None:
    async def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        loop.run(fail())


class StoppedError(Exception):
    """What the handler of a signal raises, as pytest-timeout's does."""


def test_an_interrupt_waits_until_the_work_has_cleaned_up(loop: LoopThread) -> None:
    cleaned: list[str] = []

    async def work() -> None:
        try:
            os.kill(os.getpid(), signal.SIGUSR1)
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.05)
            cleaned.append("up")

    def stop(*_: object) -> None:
        raise StoppedError

    before = signal.signal(signal.SIGUSR1, stop)
    try:
        with pytest.raises(StoppedError):
            loop.run(work())
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert cleaned == ["up"]


def test_the_end_cancels_what_is_left() -> None:
    loop, ended = LoopThread(), threading.Event()

    async def begin() -> "asyncio.Task[None]":
        async def forever() -> None:
            try:
                await asyncio.sleep(3600)
            finally:
                ended.set()

        task = asyncio.create_task(forever())
        await asyncio.sleep(0)
        return task

    loop.run(begin())
    loop.close()
    assert ended.is_set()
