"""What Ctrl-C shows of a direct test of several hosts: the counts so far, and the journal."""

import asyncio
from pathlib import Path

import pytest

from orchestrator.cli.direct_progress import DirectProgress
from orchestrator.cli.live import Show
from orchestrator.direct.hosts import HostLog, Subject, run_direct
from orchestrator.findings.series import Series
from orchestrator.testing import FACTS


async def test_the_counts_of_each_host_are_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reached = asyncio.Event()
    with Show(0.95) as show:
        progress = DirectProgress(show)

        async def test(log: HostLog) -> None:
            log.came_up(FACTS)
            with progress.bar(log.name, 200) as done:
                log.counted(Series(0, 100, 3, 0, 20, 1.0))
                done(150)
                reached.set()
                await asyncio.Event().wait()

        subjects = [Subject("a/untouched", test), Subject("b/untouched", test)]
        task = asyncio.create_task(run_direct(subjects, 0.95, tmp_path))
        await reached.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        progress.cut_short(tmp_path)
    said = capsys.readouterr().err.splitlines()
    assert "a/untouched: 150/200 trials, 3 of 100 lost at TMCCT 0 ns" in said
    assert "b/untouched: not begun" in said
    assert said[-1].startswith(f"journal so far: {tmp_path}/journal.jsonl; results so far: ")


def test_a_test_that_has_not_begun_shows_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Show(0.95) as show:
        DirectProgress(show).cut_short(tmp_path)
    assert capsys.readouterr().err == ""
