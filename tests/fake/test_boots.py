"""A resumed run says that its host went down, and in which trial."""

import asyncio
from pathlib import Path

import pytest

from orchestrator.campaign.resume import read_run
from orchestrator.campaign.run import run_plan
from orchestrator.host.boot import FILE
from orchestrator.journal.file import JOURNAL
from orchestrator.testing import FakeHost, Script, immediate
from orchestrator.vm.config import Accel
from tests.support.cut_short_runs import PLAN
from tests.support.heard import Heard
from tests.support.journal import journal_dicts


class Booted(FakeHost):
    """A host that says which boot it is in."""

    def __init__(self, boot: str) -> None:
        super().__init__(Script(immediate))
        self.boot = boot

    async def read_file(self, path: str) -> str:
        if path == FILE and self.boot:
            return f"{self.boot}\n"
        return await super().read_file(path)


async def session(out: Path, boot: str, *, lines: int = 0, killed: bool = True) -> list[str]:
    """Run or resume until the journal has so many lines; return the notes of the session.

    Args:
        out: folder of the run.
        boot: name of the boot.
        lines: of the journal after which the session ends; 0 for never.
        killed: whether it ends without a record of its end.
    """
    heard = Heard()
    resumed = read_run(out) if (out / JOURNAL).exists() else None
    running = run_plan(Booted(boot), PLAN, Accel.KVM, out, heard, resumed=resumed)  # type: ignore[arg-type]
    task = asyncio.create_task(running)
    while lines and not task.done():
        written = (out / JOURNAL).read_bytes().count(b"\n") if (out / JOURNAL).exists() else 0
        if written >= lines:
            task.cancel()
        await asyncio.sleep(0.002)
    await asyncio.gather(task, return_exceptions=lines != 0)
    if lines and killed:
        whole = (out / JOURNAL).read_bytes().splitlines(keepends=True)
        (out / JOURNAL).write_bytes(b"".join(whole[:lines]))
    return heard.notes


def first_trials(out: Path) -> int:
    """Return the number of the line of the third trial of a host."""
    records = journal_dicts(out / JOURNAL)
    found = [
        number for number, record in enumerate(records, 1)
        if record["record"] == "trial" and record["role"] == "host"
    ]  # fmt: skip
    return found[2]


@pytest.fixture
async def cut(tmp_path: Path) -> tuple[Path, int]:
    (whole := tmp_path / "whole").mkdir()
    await session(whole, "boot-1")
    return tmp_path, first_trials(whole)


async def test_the_trial_is_named_in_which_the_host_went_down(cut: tuple[Path, int]) -> None:
    out, lines = cut
    await session(out, "boot-1", lines=lines)
    state = read_run(out)
    assert state.boot_id == "boot-1"
    running = [cell for cell in state.cells.values() if cell.trials]
    notes = await session(out, "boot-2")
    (note,) = [note for note in notes if "host" in note]
    last = state.cells[state.in_cell or ""]
    assert last in running
    assert note.startswith(
        f"The host went down in trial {last.trials + 1} of {last.cell.id}: it was booted since"
    )
    assert read_run(out).boot_id == "boot-2"
    boots = [r["boot_id"] for r in journal_dicts(out / JOURNAL) if "boot_id" in r]
    assert boots == ["boot-1", "boot-2"]


@pytest.mark.parametrize(("before", "after"), [("boot-1", "boot-1"), ("", "b"), ("b", "")])
async def test_a_host_of_which_that_is_not_known_did_not_go_down(
    cut: tuple[Path, int], before: str, after: str
) -> None:
    out, lines = cut
    await session(out, before, lines=lines)
    assert not [note for note in await session(out, after) if "boot" in note]


async def test_a_host_that_was_booted_after_the_end_of_a_session(cut: tuple[Path, int]) -> None:
    out, lines = cut
    await session(out, "boot-1", lines=lines, killed=False)
    notes = [note for note in await session(out, "boot-2") if "boot" in note]
    assert notes == ["The host was booted since the previous session."]
