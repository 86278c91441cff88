"""The process that takes over for losttick: real ones, which somebody may have killed."""

import os
import signal
from pathlib import Path

import pytest

from orchestrator.process import successor
from orchestrator.process.successor import Successor
from tests.support.processes import lives, wait_until

#: Waits for the word; without it, makes a file and ends with 7.
PROGRAM = """
import os, sys
if not os.read(int(sys.argv[1]), 1):
    open(sys.argv[2], "x")
    sys.exit(7)
"""


async def begun(mark: Path) -> Successor:
    return await Successor.start(("-I", "-S", "-c", PROGRAM), (str(mark),))


async def test_it_takes_over_only_without_the_word(tmp_path: Path) -> None:
    await (await begun(tmp_path / "released")).release()
    assert await (await begun(tmp_path / "left")).take_over(20) == 7
    assert [file.name for file in tmp_path.iterdir()] == ["left"]


async def test_one_that_was_killed(tmp_path: Path) -> None:
    """Its end breaks the pipe: the word can't be written, and nobody needs it any more."""
    killed = await begun(tmp_path / "mark"), await begun(tmp_path / "mark")
    for each in killed:
        os.kill(each.pid, signal.SIGKILL)
    assert wait_until(lambda: not any(lives(each.pid) for each in killed))
    await killed[0].release()
    assert await killed[1].take_over(20) == -signal.SIGKILL
    assert not any(tmp_path.iterdir())


async def test_one_that_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(successor, "END_S", 0.1)
    for last in ("take_over", "release"):
        stopped = await begun(tmp_path / "mark")
        os.kill(stopped.pid, signal.SIGSTOP)
        if last == "release":
            await stopped.release()
            with pytest.raises(ProcessLookupError):
                os.kill(stopped.pid, 0)
        else:
            with pytest.raises(TimeoutError):
                await stopped.take_over(0.1)
            os.kill(stopped.pid, signal.SIGKILL)
