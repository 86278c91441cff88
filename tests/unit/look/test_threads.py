"""A thread is known by its number, whatever name its program has given it."""

import os
import threading
from pathlib import Path

import pytest

from orchestrator.look.threads import thread_group


@pytest.mark.parametrize("name", [b"\xff\xfe", b"a\x0cTgid:\t1", b"a\x1eTgid: 1", b"Tgid:\t1"])
def test_a_thread_of_any_name(name: bytes) -> None:
    """A QEMU that a guest has taken over names its threads as it likes."""
    found: list[int | None] = []

    def named() -> None:
        thread = threading.get_native_id()
        Path(f"/proc/self/task/{thread}/comm").write_bytes(name)
        found.append(thread_group(thread))

    thread = threading.Thread(target=named)
    thread.start()
    thread.join()
    assert found == [os.getpid()]
