"""A program's folder goes with its supervisor, however that ends, and whatever the clock shows."""

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.process import folder
from orchestrator.process.supervised import supervise
from tests.support.processes import lives, wait_until


def parent_of(pid: int) -> int:
    """Return the parent of a process."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


async def test_a_killed_supervisor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "base_folder", lambda: tmp_path)
    program = await supervise(["/bin/sleep", "1000"], {"a": b"b"}, what="sleep")
    assert program.folder.parent == tmp_path
    os.kill(parent_of(program.pid), signal.SIGKILL)
    await program.exited()
    assert list(tmp_path.iterdir()) == []
    assert wait_until(lambda: not lives(program.pid))


@pytest.mark.parametrize("date_s", [0, 2**32])
def test_only_what_a_supervisor_has_left_is_swept(tmp_path: Path, date_s: int) -> None:
    left, held, unmarked = (tmp_path / f"{folder.PREFIX}{name}" for name in "abc")
    for place in (left, held, unmarked):
        place.mkdir()
        (place / "disk").touch()
    for place in (left, held):
        (place / folder.MARKER).touch()
    for place in (left, held, unmarked):
        os.utime(place, (date_s, date_s))
    lock = os.open(held, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        assert folder.sweep(tmp_path) == [left]
        assert sorted(tmp_path.iterdir()) == [held, unmarked]
    finally:
        os.close(lock)
    assert folder.sweep(tmp_path) == [held]


KILLED = """
import os, signal, sys
from pathlib import Path
from orchestrator.process.folder import own_folder

with own_folder(Path(sys.argv[1])):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_folder_of_a_killed_process_goes_with_the_next(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    (left,) = tmp_path.iterdir()
    with folder.own_folder(tmp_path) as first, folder.own_folder(tmp_path) as second:
        assert sorted(tmp_path.iterdir()) == sorted([first, second])
        assert left not in (first, second)
    assert list(tmp_path.iterdir()) == []
