"""KTAP while a run goes on: each cell's line comes when the cell ends, and the whole is valid."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest

from orchestrator.campaign.events import NO_PROGRESS, Progress
from orchestrator.campaign.resume import read_run
from orchestrator.campaign.run import run_plan
from orchestrator.cli.ktap_stream import ktap_to
from orchestrator.errors import InfraError, UnfitError
from orchestrator.plan.cell import Cell
from orchestrator.results.outputs.output import OutputOptions
from orchestrator.results.outputs.table import output
from orchestrator.results.report import read_report
from orchestrator.testing import FakeHost, Script, immediate, lost
from orchestrator.testing.script import Behaviour
from orchestrator.verdict.verdict import Verdict
from orchestrator.vm.config import Accel
from tests.support.cut_short_runs import PLAN
from tests.support.kunit import parsed


def errors(test: dict[str, Any]) -> int:
    return int(test["errors"]) + sum(map(errors, test["subtests"]))


def results(ktap: bytes) -> tuple[str, dict[str, str]]:
    """Return the status of the only run, and of each of its cells, as the kernel reads them."""
    found = parsed(ktap)
    assert errors(found) == 0
    (run,) = found["subtests"]
    assert run["name"] == "losttick run"
    return run["status"], {each["name"]: each["status"] for each in run["subtests"]}


class Watching(type(NO_PROGRESS)):  # type: ignore[misc]  # the class is private
    """Notes what had been printed when each cell ended, and ends the run after some cells."""

    def __init__(self, last: int = 100) -> None:
        self.printed: list[bytes] = []
        self.seen: list[bytes] = []
        self.task = asyncio.current_task()
        self._last = last

    def cell_ends(self, cell: Cell, verdict: Verdict, why: str) -> None:
        self.seen.append(b"".join(self.printed))
        if len(self.seen) == self._last:
            assert self.task
            self.task.cancel()


async def streamed(folder: Path, behaviour: Behaviour, last: int = 100) -> Watching:
    watching = Watching(last)
    with (
        contextlib.suppress(asyncio.CancelledError),
        ktap_to(watching.printed.append, watching) as progress,
    ):
        listener: Progress = progress
        resumed = read_run(folder) if any(folder.iterdir()) else None
        await run_plan(
            FakeHost(Script(behaviour)), PLAN, Accel.KVM, folder, listener, resumed=resumed
        )
    return watching


@pytest.mark.parametrize(("behaviour", "status"), [(immediate, "SUCCESS"), (lost, "FAILURE")])
async def test_a_stream_says_what_the_file_says(
    tmp_path: Path, behaviour: Behaviour, status: str
) -> None:
    stream = b"".join((await streamed(tmp_path, behaviour)).printed)
    file = output("ktap").render([read_report(tmp_path)], OutputOptions())
    whole, cells = results(stream)
    assert (whole, cells) == results(file)
    assert (whole, set(cells.values())) == (status, {status})
    assert len(cells) == 2


async def test_a_cell_is_printed_when_it_ends(tmp_path: Path) -> None:
    watching = await streamed(tmp_path, immediate)
    lines = [[line for line in seen.splitlines() if line.startswith(b"  ok ")]
             for seen in watching.seen]  # fmt: skip
    assert [len(each) for each in lines] == [1, 2]
    assert all(b"\nok " not in seen for seen in watching.seen)


async def test_a_run_that_is_cut_short_prints_a_result_for_each_cell(tmp_path: Path) -> None:
    watching = await streamed(tmp_path, immediate, last=1)
    whole, cells = results(b"".join(watching.printed))
    assert (whole, sorted(cells.values())) == ("FAILURE", ["FAILURE", "SUCCESS"])
    assert b" # ERROR interrupted\n" in watching.printed[-1]


async def test_a_resumed_run_prints_the_cells_that_had_ended_too(tmp_path: Path) -> None:
    await streamed(tmp_path, immediate, last=1)
    resumed = await streamed(tmp_path, immediate)
    whole, cells = results(b"".join(resumed.printed))
    assert (whole, list(cells.values())) == ("SUCCESS", ["SUCCESS", "SUCCESS"])


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (UnfitError("no KVM here"), b"ok 1 losttick run # SKIP no KVM here\n"),
        (InfraError("no room"), b"not ok 1 losttick run # ERROR no room\n"),
        (KeyboardInterrupt(), b"not ok 1 losttick run # ERROR interrupted\n"),
    ],
)
def test_a_run_that_never_began_has_a_result(error: BaseException, line: bytes) -> None:
    printed: list[bytes] = []
    with pytest.raises(type(error)), ktap_to(printed.append, NO_PROGRESS):
        raise error
    assert b"".join(printed) == b"KTAP version 1\n1..1\n" + line


def test_a_note_before_the_first_cell_is_a_diagnostic() -> None:
    printed: list[bytes] = []
    with ktap_to(printed.append, NO_PROGRESS) as progress:
        progress.noted("The host went down in trial 7\nok 1 fine # SKIP")
    assert printed[1] == b"# note: The host went down in trial 7\\nok 1 fine # SKIP\n"
