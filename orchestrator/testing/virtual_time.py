"""An asyncio event loop whose clock jumps to the next timer instead of waiting for it.

A test that runs on a `VirtualTimeLoop` takes no time for sleeps and timeouts, and its
result does not depend on how busy the computer is:

    >>> import asyncio
    >>> async def an_hour() -> float:
    ...     began = asyncio.get_running_loop().time()
    ...     await asyncio.sleep(3600)
    ...     return asyncio.get_running_loop().time() - began
    >>> with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
    ...     runner.run(an_hour())
    3600.0

The loop jumps only when nothing else can happen: no callback is ready, no descriptor has
data, and no thread of an executor is at work. Code under test must therefore take the time
from `loop.time()`, and its peers must run in the same process, at the other end of a
socketpair. The loop knows nothing of a child process and would jump while that runs.
"""

import asyncio
import selectors
from asyncio import Future
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class _JumpingSelector(selectors.DefaultSelector):
    """A selector that moves its own clock forward where it would wait for a timer."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.threads = 0
        """Calls in executors that have not returned yet."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return the descriptors that are ready; if none is, jump by `timeout` seconds.

        With a call in an executor, or without a timer, wait in real time for a descriptor:
        an executor's result arrives through the loop's self-pipe.
        """
        if ready := super().select(0):
            return ready
        if timeout is None or (timeout > 0 and self.threads):
            return super().select(None)
        self.now_s += max(0.0, timeout)
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop that runs in virtual time, which begins at 0 s."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self._jumping.now_s

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> Future[T]:
        """Run a function in a thread; virtual time stands still until it has returned."""
        done: Future[T] = super().run_in_executor(executor, func, *args)
        self._jumping.threads += 1
        done.add_done_callback(self._thread_ended)
        return done

    def _thread_ended(self, _: Future[Any]) -> None:
        self._jumping.threads -= 1

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Wait for the threads of the default executor, in real time, however long that takes.

        From Python 3.12 on the loop's runner sets a timeout, which virtual time would jump to.
        """
        self._jumping.threads += 1
        try:
            await super().shutdown_default_executor()
        finally:
            self._jumping.threads -= 1
