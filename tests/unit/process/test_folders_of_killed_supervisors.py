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


#: Runs a script in a program's folder, and then shows what is left there, and what is swept.
CLOSED = """
import asyncio, os, sys
from pathlib import Path
from orchestrator.process import folder
from orchestrator.process.supervised import supervise

async def main():
    base = Path(sys.argv[1])
    folder.base_folder = lambda: base
    program = await supervise(["/bin/sh", "-c", sys.argv[2]], {}, what="a shell")
    print((await program.exited()).code, os.listdir(base))

asyncio.run(main())
"""

#: What a program may leave in its folder.
LEFT = {
    "closed": "echo big >big; chmod 0 .",
    "read-only": "mkdir a; echo big >a/big; chmod 500 a .",
    "closed below": "mkdir -p a/b/c; echo big >a/b/big; chmod 0 a/b/c a/b a",
    "closed and locked": "mkdir -p a/b; chmod 0 a/b; chmod 100 a; chmod 300 .",
    "links": "mkdir a; ln -s ../../victim a/link; ln -s ../victim link; chmod 0 a .",
    "deep": 'python3 -c \'import os\nfor _ in range(3000): os.mkdir("d"); os.chdir("d")\'',
    "marked again": "rm .supervised; mkdir -m 0 .supervised",
}


def without_privileges() -> list[str]:
    """Return the words before a command by which root has no more rights than another user."""
    return ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []


@pytest.mark.parametrize("left", LEFT)
def test_no_folder_stays_whatever_its_program_leaves_in_it(tmp_path: Path, left: str) -> None:
    (victim := tmp_path / "victim").mkdir(mode=0o555)
    (base := tmp_path / "base").mkdir()
    done = subprocess.run(
        [*without_privileges(), sys.executable, "-c", CLOSED, str(base), LEFT[left]],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("0 []\n", "")
    assert victim.stat().st_mode & 0o777 == 0o555


@pytest.mark.parametrize("left", [each for each in LEFT if each != "marked again"])
def test_what_a_killed_supervisor_has_left_is_swept_whatever_it_is(
    tmp_path: Path, left: str
) -> None:
    (victim := tmp_path / "victim").mkdir(mode=0o555)
    (base := tmp_path / "base").mkdir()
    (place := base / f"{folder.PREFIX}left").mkdir(mode=0o700)
    (place / folder.MARKER).touch()
    subprocess.run(["sh", "-ec", LEFT[left]], cwd=place, check=True)
    script = "import sys\nfrom pathlib import Path\nfrom orchestrator.process import folder\n"
    script += "print(len(folder.sweep(Path(sys.argv[1]))))"
    done = subprocess.run(
        [*without_privileges(), sys.executable, "-c", script, str(base)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr, list(base.iterdir())) == ("1\n", "", [])
    assert victim.stat().st_mode & 0o777 == 0o555
