"""Programs under a supervisor that was stopped."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from orchestrator.process import supervised
from orchestrator.process.supervised import Supervised, supervise
from tests.support.processes import lives, wait_until


@pytest.fixture
async def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Supervised:
    """Return a running program whose supervisor has half a second to end it."""
    monkeypatch.setattr(supervised, "END_S", 0.5)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    twins = tmp_path / "twins"
    twins.mkdir()
    return await supervise(
        ["/bin/sleep", "1000"], {"file": b"content"}, what="sleep", twins=twins,
        on_folder=lambda place: (twins / place.name).mkdir(),
    )  # fmt: skip


def supervisor_of(program: Supervised) -> int:
    stat = Path(f"/proc/{program.pid}/stat").read_text()
    return int(stat.rpartition(")")[2].split()[1])


def is_gone(program: Supervised, twins: Path) -> bool:
    return not program.folder.exists() and not lives(program.pid) and not any(twins.iterdir())


async def test_a_stopped_supervisor_delays_the_end_for_a_bounded_time(
    program: Supervised, tmp_path: Path
) -> None:
    os.kill(supervisor_of(program), signal.SIGSTOP)
    async with asyncio.timeout(30):
        end = await program.kill()
    assert end.code == -signal.SIGKILL
    assert wait_until(lambda: is_gone(program, tmp_path / "twins"))
