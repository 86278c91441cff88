"""Waits for a named step of a run in another process."""

import contextlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

#: How long a step may take to come, in seconds: far longer than it takes on a busy computer.
DEADLINE_S = 60


class Steps:
    """The steps that a run writes into a FIFO, given to it as `--events`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._text = b""
        self.seen: list[str] = []
        """The events that were read, in order."""

    def wait_for(self, event: str, times: int = 1) -> None:
        """Read until the event has come so often; fail if it has not in time."""
        deadline = time.monotonic() + DEADLINE_S
        while self.seen.count(event) < times:
            assert time.monotonic() < deadline, f"no {event} in {DEADLINE_S} s, only {self.seen}"
            with contextlib.suppress(BlockingIOError):
                self._text += os.read(self._descriptor, 65536)
            *lines, self._text = self._text.split(b"\n")
            self.seen += [json.loads(line)["event"] for line in lines]
            if not lines:  # the run has not opened the FIFO, or has nothing to say yet
                time.sleep(0.002)


@contextlib.contextmanager
def steps(fifo: Path) -> Iterator[Steps]:
    """Make a FIFO for `--events`, and give what reads it."""
    os.mkfifo(fifo)
    descriptor = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        yield Steps(descriptor)
    finally:
        os.close(descriptor)
