"""An event loop in a thread, for tests that are no coroutines.

The loop runs between a test's calls as well: a guest prints all the time, and somebody must
listen.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

#: How long work that was interrupted may clean up, in seconds.
CLEAN_UP_S = 10.0

#: How often a waiting thread looks for signals that another thread has received, in seconds.
HEED_S = 0.5


class LoopThread:
    """A running event loop. The thread starts with the first work."""

    def __init__(
        self, factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    ) -> None:
        self._factory = factory
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the loop, and return its result.

        What interrupts the calling thread (Ctrl-C, a test's time limit) cancels the coroutine,
        and waits until that has cleaned up.
        """
        loop = self._started()
        ended = threading.Event()
        tasks: list[asyncio.Task[T]] = []

        def begin() -> None:
            tasks.append(loop.create_task(work))
            tasks[0].add_done_callback(lambda _: ended.set())

        def cancel() -> None:
            if tasks:
                tasks[0].cancel()
            else:  # interrupted before it was begun
                work.close()
                ended.set()

        try:
            loop.call_soon_threadsafe(begin)
            while not ended.wait(HEED_S):
                pass
        except BaseException:
            loop.call_soon_threadsafe(cancel)
            ended.wait(CLEAN_UP_S)
            raise
        return tasks[0].result()

    def close(self) -> None:
        """Cancel what is left, and end the thread."""
        if self._loop and self._thread:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(CLEAN_UP_S)
            self._loop = self._thread = None

    def _started(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = self._factory()
            # A daemon: an interpreter that ends by `sys.exit` must not wait for the loop.
            self._thread = threading.Thread(
                target=_run, args=(self._loop,), name="losttick", daemon=True
            )
            self._thread.start()
        return self._loop


def _run(loop: asyncio.AbstractEventLoop) -> None:
    """Run a loop until it is stopped; then let what is left of its work clean up."""
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.get_loop()
        loop.run_forever()
