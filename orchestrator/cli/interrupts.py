"""SIGINT, SIGTERM and SIGHUP interrupt a command, which then ends with exit code 130.

- While Python starts, they wait: the script `losttick` blocks them, and `unblock` lets them come.
- While a command is imported, and once its exit code is known, they end the process at once:
  there is nothing to clean up, and no traceback to show.
- While a command without an event loop works, they raise KeyboardInterrupt.
- While an event loop runs, they cancel the command, so that it cleans up and journals that it was
  interrupted. A second signal shortens the time for that. After that time the process ends all
  the same: the supervisors end every program of a losttick that is gone.
- While a package manager runs, they wait for its end (`put_off`).
- The time for the readers of what was printed is a part of that: a reader that has stalled
  keeps no process that was told to end (`end_in_time`). Without a signal it is waited for.

A signal that was ignored when the command began stays ignored, as `nohup` and shells expect.

Imports only modules that take no time: every command begins here.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

INTERRUPTED = 130

#: Longest time that a cancelled command may clean up, in seconds.
END_S = 4.0

#: Longest time for the last words after that, in seconds. A service manager, and docs/long-runs.md,
#: count on less than 5 s in all.
LAST_S = 0.4

#: Longest time that it may go on after a second signal, in seconds.
SECOND_S = 0.5

_Handler = Callable[[int, FrameType | None], Any]


class _Ending:
    """The time at which a command that was told to end must have ended."""

    def __init__(self) -> None:
        self.at: float | None = None
        """On the monotonic clock; None while no signal has come."""

    def begin(self, handler: _Handler, most_s: float) -> None:
        """Have a handler called when the time is over, or some seconds from now if that is less.

        The handler of a timer runs even if this thread is stuck in a system call.
        """
        now = time.monotonic()
        if self.at is None:
            self.at = now + END_S
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, max(min(self.at - now, most_s), 0.001))

    def pause(self) -> None:
        """Let the time go on, but call no handler."""
        if self.at is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)


_ending = _Ending()


def end_in_time() -> float | None:
    """End the process soon if a signal has told it to end, whatever it waits for from now on.

    Returns:
        The seconds until then; None if no signal has come.
    """
    if _ending.at is None:
        return None
    now = time.monotonic()
    _ending.at = max(_ending.at, now + LAST_S)
    _ending.begin(_leave, END_S + LAST_S)
    return _ending.at - now


def _leave(number: int, frame: FrameType | None) -> None:
    os._exit(INTERRUPTED)


def exit_at_once(code: int = INTERRUPTED) -> None:
    """Let the signals end the process at once, from now on."""

    def leave(number: int, frame: FrameType | None) -> None:
        os._exit(code)

    _handle(leave)


def unblock() -> None:
    """Let signals come that have waited while Python started."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def handle_as_python_does() -> None:
    """Let the signals do what they do in a Python program that did not ask for anything else."""
    handlers = {signal.SIGINT: signal.default_int_handler}
    for number in _handle(lambda number, frame: None):
        signal.signal(number, handlers.get(number, signal.SIG_DFL))


@contextlib.contextmanager
def raised() -> Iterator[None]:
    """Let the signals raise KeyboardInterrupt."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        _ending.begin(_leave, END_S)
        raise KeyboardInterrupt(signal.Signals(number).name)

    _ending.at = None  # an earlier command of this process may have got a signal
    before = _handle(interrupt)
    try:
        yield
    finally:
        _ending.pause()
        _restore(before)


class Cancelling:
    """While this context lasts, the signals cancel a task."""

    def __init__(self, stopping: Callable[[], None], last_words: Callable[[], None]) -> None:
        """Prepare.

        Args:
            stopping: called when the first signal comes.
            last_words: called if the process ends before the task does.
        """
        self._stopping = stopping
        self._last_words = last_words
        self._before: dict[signal.Signals, Any] = {}
        self._task: asyncio.Task[Any] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._came = 0

    def follow(self, task: "asyncio.Task[Any]", loop: "asyncio.AbstractEventLoop") -> None:
        """Name the task. A signal before this call ends the process: nothing has begun.

        The kernel may hand a signal to another thread, or just before the loop begins to wait.
        Python then runs the handler only when the loop wakes, so that the signal must wake it.
        """
        self._task, self._loop = task, loop
        if self._before:
            # A loop with a handler of its own, here for a signal that nobody sends, has every
            # signal write to the socket by which threads wake it (signal.set_wakeup_fd).
            loop.add_signal_handler(signal.SIGURG, lambda: None)

    def __enter__(self) -> "Cancelling":
        self._before = _handle(self._cancel)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        _ending.pause()
        _restore(self._before)

    def _cancel(self, number: int, frame: FrameType | None) -> None:
        if self._task is None or self._loop is None:
            self._give_up(number, frame)
            return
        self._came += 1
        _ending.begin(self._give_up, END_S if self._came == 1 else SECOND_S)
        if self._came == 1:
            self._stopping()
        with contextlib.suppress(RuntimeError):  # the loop is closed: the task has ended
            self._loop.call_soon_threadsafe(self._task.cancel, signal.Signals(number).name)

    def _give_up(self, number: int, frame: FrameType | None) -> None:
        try:
            self._last_words()
        finally:
            os._exit(INTERRUPTED)


@contextlib.contextmanager
def put_off(on_signal: Callable[[], None]) -> Iterator[Callable[[], bool]]:
    """Let the signals wait for something that must not be left halfway.

    Yields a function that returns whether a signal waits. Its handler gets it in the end.

    Args:
        on_signal: called for each signal, at once. A signal that comes meanwhile waits for its
            end: Python refuses to print to a stream while it prints to it.
    """
    came: list[int] = []
    heard, calls = 0, False

    def wait(number: int, frame: FrameType | None) -> None:
        nonlocal heard, calls
        came.append(number)
        while not calls and heard < len(came):
            heard, calls = heard + 1, True
            try:
                on_signal()
            finally:
                calls = False

    before = _handle(wait)
    try:
        yield lambda: bool(came)
    finally:
        _restore(before)
        if came:
            signal.raise_signal(came[0])


def _handle(handler: _Handler) -> dict[signal.Signals, Any]:
    """Handle the signals that are not ignored; return what handled them before."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    before = {number: signal.getsignal(number) for number in SIGNALS}
    before = {number: each for number, each in before.items() if each is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, handler)
    return before


def _restore(before: dict[signal.Signals, Any]) -> None:
    for number, handler in before.items():
        signal.signal(number, handler)
