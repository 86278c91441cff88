"""A supervisor tells how its program ended, or does not live to tell."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.host.errors import QemuStartError
from orchestrator.process.supervised import Supervised, supervise
from tests.support.processes import lives


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


async def started(words: str) -> Supervised:
    """Start a program that has said something on its standard error."""
    heard = asyncio.Event()
    program = await supervise(
        ["/bin/sh", "-c", f"echo {words} >&2; exec sleep 60"], {}, what="a program",
        on_output=lambda chunk: heard.set(),
    )  # fmt: skip
    await heard.wait()
    return program


def parent(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("PPid:")[2].split()[0])


async def test_a_supervisor_that_is_killed_is_no_refusal_by_its_program() -> None:
    """Whatever the program has said before, it did not end by itself."""
    program = await started("a warning")
    os.kill(parent(program.pid), signal.SIGKILL)
    end = await program.exited()
    assert end.of_its_host
    assert end.code == -signal.SIGKILL
    assert end.stderr == "a warning\n"
    assert not QemuStartError("it ended", end=end, ended_itself=True).refused


async def test_a_program_that_is_killed_ends_by_that_signal() -> None:
    program = await started("a warning")
    os.kill(program.pid, signal.SIGTERM)
    end = await program.exited()
    assert (end.code, end.of_its_host) == (-signal.SIGTERM, False)


async def test_a_program_that_refuses_its_arguments_says_so() -> None:
    program = await supervise(["/bin/sh", "-c", "echo no such machine; exit 1"], {}, what="it")
    end = await program.exited()
    assert (end.code, end.stderr) == (1, "no such machine\n")
    assert QemuStartError("it ended", end=end, ended_itself=True).refused


@pytest.mark.parametrize("killed", [False, True], ids=["ends", "is killed"])
async def test_what_a_program_leaves_behind_ends_with_it(killed: bool) -> None:
    """Also a daemon, which has another parent and another session than the program."""
    daemon = "setsid sh -c 'sleep 61 & echo $! >orphan; wait' & while ! [ -s orphan ]; do :; done"
    ready = asyncio.Event()
    program = await supervise(
        ["/bin/sh", "-c", f"{daemon}; echo go; exec sleep 60"], {}, what="it",
        on_output=lambda chunk: ready.set(),
    )  # fmt: skip
    await ready.wait()
    orphan = int((program.folder / "orphan").read_text())
    assert lives(orphan)
    if killed:
        await program.kill()
    else:
        os.kill(program.pid, signal.SIGTERM)
        await program.exited()
    assert not lives(orphan)


async def test_a_program_outlives_losttick_s_end_of_the_lifeline_while_another_holds_it() -> None:
    program = await started("a word")
    held = os.dup(program.lifeline)
    killing = asyncio.create_task(program.kill())
    await asyncio.sleep(0.3)
    assert lives(program.pid)
    os.close(held)
    await killing
    assert not lives(program.pid)


LEFT = """
import asyncio, os, signal
from pathlib import Path
from orchestrator.process import supervised

async def main():
    supervised.END_S = 0.2
    words = "sleep 3 & exec sleep 60"  # the first one outlives the program, with its output
    program = await supervised.supervise(["/bin/sh", "-c", words], {}, what="sleep")
    parent = Path(f"/proc/{program.pid}/stat").read_text().rpartition(")")[2].split()[1]
    os.kill(int(parent), signal.SIGSTOP)
    await program.kill()

asyncio.run(main())
"""


def test_an_output_that_outlives_losttick_makes_no_noise() -> None:
    """Python of Debian 12 complains of a subprocess whose pipe outlives the event loop."""
    done = subprocess.run(
        [sys.executable, "-c", LEFT], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
