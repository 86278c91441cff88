"""Blocking work in a thread. The work ends when the task that waits for it is cancelled.

A thread can't be interrupted. Work that may take long therefore asks, at each place where it
waits, whether it still is wanted: `pause` does so for a wait, and `Job.start` for a program,
which is killed. Neither needs an argument: the job of the running thread is a context variable.
"""

import asyncio
import contextlib
import contextvars
import os
import signal
import subprocess
import threading
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")


T = TypeVar("T")


class WorkCancelled(BaseException):
    """The task that waited for this work was cancelled."""


class Job:
    """A piece of blocking work, and the programs that it is running."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cancelled = threading.Event()
        self._running: set[subprocess.Popen[str]] = set()

    def start(self, command: list[str], **options: Any) -> "subprocess.Popen[str]":
        """Start a program in a session of its own; `end` must follow.

        Raises:
            WorkCancelled: the work is not wanted any more.
        """
        with self._lock:
            self.check()
            process = subprocess.Popen(
                command, start_new_session=True, text=True, errors="replace", **options
            )
            self._running.add(process)
        return process

    def end(self, process: "subprocess.Popen[str]") -> None:
        """Kill a program and everything that it started, if it is still running.

        Raises:
            WorkCancelled: the work is not wanted any more.
        """
        with self._lock:
            self._running.discard(process)
            _kill(process)
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream:
                stream.close()
        self.check()

    def cancel(self) -> None:
        """Kill the running programs, and end the work at its next step."""
        with self._lock:
            self._cancelled.set()
            for process in self._running:
                _kill(process)

    def check(self) -> None:
        """Raise an exception if the work is no longer wanted.

        Raises:
            WorkCancelled: it is not.
        """
        if self._cancelled.is_set():
            raise WorkCancelled

    def pause(self, seconds: float) -> None:
        """Wait for some seconds.

        Raises:
            WorkCancelled: the work is not wanted any more.
        """
        self._cancelled.wait(seconds)
        self.check()


def _kill(process: "subprocess.Popen[str]") -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


_job: contextvars.ContextVar[Job] = contextvars.ContextVar("job")


def current_job() -> Job:
    """Return the job of this thread. Outside `in_thread`, the job is never cancelled."""
    return _job.get(None) or Job()


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do blocking work in a thread. If this task is cancelled, the work is ended first."""
    job, loop, context = Job(), asyncio.get_running_loop(), contextvars.copy_context()
    context.run(_job.set, job)
    done = loop.run_in_executor(None, lambda: context.run(work, *args, **kwargs))
    try:
        return await asyncio.shield(done)
    except asyncio.CancelledError:
        job.cancel()
        await asyncio.wait({done})
        if not done.cancelled():
            done.exception()  # nobody asks for it any more
        raise


def on_loop(callback: Callable[P, object]) -> Callable[P, None]:
    """Return a function that other threads call to run `callback` in the running loop."""
    loop = asyncio.get_running_loop()

    def call(*args: P.args, **kwargs: P.kwargs) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens
            loop.call_soon_threadsafe(lambda: callback(*args, **kwargs))

    return call
