"""Writing to a descriptor that other programs may hold, too."""

import os
import select


def write_all(descriptor: int, data: bytes) -> None:
    """Write bytes, whoever made the descriptor non-blocking.

    Raises:
        OSError: they can't be written.
    """
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:
            poll = select.poll()
            poll.register(descriptor, select.POLLOUT)
            poll.poll()
