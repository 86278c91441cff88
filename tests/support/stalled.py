"""Pipes and FIFOs whose reader has stalled: they are full, and nobody empties them."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


def _filled(writer: int) -> None:
    """Fill a pipe, of the least size that there is."""
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, os.sysconf("SC_PAGE_SIZE"))
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, b"\n" * 64)
    os.set_blocking(writer, True)


@contextlib.contextmanager
def stalled_pipe() -> Iterator[tuple[int, int]]:
    """Give the ends of a full pipe: the one to read, and the one to write."""
    reader, writer = os.pipe()
    try:
        _filled(writer)
        yield reader, writer
    finally:
        os.close(reader)
        os.close(writer)


@contextlib.contextmanager
def stalled_fifo(path: Path) -> Iterator[Path]:
    """Make a full FIFO that somebody has opened to read."""
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(path, os.O_WRONLY)
    try:
        _filled(writer)
        os.close(writer)
        yield path
    finally:
        os.close(reader)
