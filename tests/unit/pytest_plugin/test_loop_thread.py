"""The loop for tests that are no coroutines."""

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

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


class Interrupted(asyncio.SelectorEventLoop):
    """A loop whose caller is interrupted at its first call, before or after that is done."""

    done = False
    calls = 0

    def call_soon_threadsafe(self, *args: Any, **more: Any) -> asyncio.Handle:
        self.calls += 1
        if self.calls > 1:
            return super().call_soon_threadsafe(*args, **more)
        if self.done:
            super().call_soon_threadsafe(*args, **more)
        raise StoppedError


class InterruptedAfter(Interrupted):
    done = True


@pytest.mark.parametrize("factory", [Interrupted, InterruptedAfter])
def test_an_interrupt_at_the_very_beginning_leaves_no_work(factory: type[Interrupted]) -> None:
    loop = LoopThread(factory)

    async def tasks() -> int:
        return len(asyncio.all_tasks())

    try:
        with pytest.raises(StoppedError):
            loop.run(asyncio.sleep(60))
        assert loop.run(tasks()) == 1, "this one alone"
    finally:
        loop.close()
