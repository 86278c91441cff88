"""Lines of a console that show life."""

import os
import re
import socket
from pathlib import Path

import pytest

from orchestrator.attached.console import MOST_LINE, AliveLines, listening
from orchestrator.attached.errors import TargetError
from orchestrator.clock import LocalClock

SOON_NS, LATER_NS = 20_000_000, 5_000_000_000


async def test_lines_come_in_pieces() -> None:
    lines = AliveLines(re.compile("^tick [0-9]+$"), LocalClock())
    lines.feed(b"tick 1")
    assert not await lines.came(SOON_NS), "the line may go on"
    lines.feed(b"2\ntick")
    assert await lines.came(SOON_NS)
    lines.forget()
    lines.feed(b" 13\n")
    assert not await lines.came(SOON_NS), "its beginning is from before"
    lines.feed(b"\xff\x1b[2J\n" + b"x" * 10 * MOST_LINE)
    lines.feed(b"\ntick 14\n")
    assert await lines.came(SOON_NS)


async def test_a_socket_a_file_and_a_pty(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        server.listen()
        async with listening(str(tmp_path / "socket"), "alive", LocalClock()) as lines:
            with server.accept()[0] as guest:
                guest.sendall(b"alive\n")
                assert await lines.came(LATER_NS)
            lines.forget()
            assert not await lines.came(10 * SOON_NS)
            assert lines.ended

    file = tmp_path / "file"
    file.write_bytes(b"alive before\n")
    async with listening(str(file), "alive", LocalClock()) as lines:
        assert not await lines.came(SOON_NS)
        with file.open("ab") as guest_file:
            guest_file.write(b"alive\n")
        assert await lines.came(LATER_NS)

    ours, theirs = os.openpty()
    try:
        async with listening(os.ttyname(theirs), "alive", LocalClock()) as lines:
            os.write(ours, b"alive\n")
            assert await lines.came(LATER_NS)
    finally:
        os.close(ours)
        os.close(theirs)


@pytest.mark.parametrize(("path", "pattern"), [("nowhere", "x"), ("/dev/null", "("), ("\0", "x")])
async def test_what_cannot_be_listened_to(path: str, pattern: str) -> None:
    with pytest.raises(TargetError):
        async with listening(path, pattern, LocalClock()):
            pass
