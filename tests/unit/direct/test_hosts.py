"""A direct test of several hosts: what is journalled is what is returned and shown."""

import asyncio
import io
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console
from typer.testing import CliRunner

from orchestrator.cli.app import whole_app
from orchestrator.cli.direct_table import print_direct
from orchestrator.cli.screen import Screen
from orchestrator.direct.hosts import HostLog, Subject, run_direct
from orchestrator.errors import InfraError, LosttickError, TransientError, UnfitError
from orchestrator.findings.lab import LabIdentity
from orchestrator.findings.series import Series
from orchestrator.journal.trial_record import Role
from orchestrator.lab.claims import ClaimError
from orchestrator.process.supervised import ProcessStartError
from orchestrator.results.direct import direct_summary, read_direct_result
from orchestrator.results.exit_code import result_exit
from orchestrator.results.result import STILL_GOES_ON
from orchestrator.testing import FACTS
from orchestrator.verdict.direct import DirectResult
from orchestrator.verdict.verdict import Verdict

CONTROL = Series(0, 5, 5, 0, 0, 1.0)

TMCCTS = (0, 1, 100, 1_000, 10_000, 100_000, 1_000_000)


def counted(lost: int, lab: LabIdentity | None = None) -> Callable[[HostLog], Awaitable[None]]:
    async def test(log: HostLog) -> None:
        log.came_up(FACTS)
        for tmcct in TMCCTS:  # what expires inside the call is lost
            log.counted(Series(tmcct, 100, lost * (tmcct <= 1000), 0, 20, 1.0))
        log.counted(CONTROL, Role.CONTROL)
        if lab:
            log.identified(lab)

    return test


def failing(error: Exception) -> Callable[[HostLog], Awaitable[None]]:
    async def test(log: HostLog) -> None:
        raise error

    return test


def shown(result: DirectResult, width: int) -> str:
    out = io.StringIO()
    print_direct(Screen(Console(file=out, width=width)), result)
    return out.getvalue()


async def test_a_series_may_take_no_time_that_its_clock_shows(tmp_path: Path) -> None:
    async def test(log: HostLog) -> None:
        log.came_up(FACTS)
        log.counted(Series(0, 1, 0, 0, 20, 0.0))
        log.counted(CONTROL, Role.CONTROL)

    text = shown(await run_direct([Subject("this host", test)], 0.95, tmp_path), 80)
    (row,) = [line.split() for line in text.splitlines() if line.strip().startswith("0 ns")]
    assert row[-1] == "-"


async def test_the_result_is_what_its_journal_says(tmp_path: Path) -> None:
    result = await run_direct([Subject("this host", counted(0))], 0.95, tmp_path)
    assert (result.verdict, result.interrupted) == (Verdict.CLEAN, None)
    assert read_direct_result(tmp_path) == result
    assert direct_summary(read_direct_result(tmp_path)) == direct_summary(result)


async def test_show_prints_what_the_test_printed(tmp_path: Path) -> None:
    result = await run_direct([Subject("this host", counted(100))], 0.95, tmp_path)
    runner, environment = CliRunner(), {"COLUMNS": "80"}
    again = runner.invoke(whole_app(), ["show", str(tmp_path)], env=environment)
    assert (again.exit_code, again.stdout) == (1, shown(result, 80))
    again = runner.invoke(whole_app(), ["show", "--json", str(tmp_path)])
    assert json.loads(again.stdout) == json.loads(json.dumps(direct_summary(result)))


async def test_a_host_that_fails_does_not_hide_the_others(tmp_path: Path) -> None:
    subjects = [
        Subject("a", counted(0)),
        Subject("b", failing(UnfitError("no /dev/kvm \x1b[2J"))),
        Subject("c", failing(InfraError("it stalled"))),
    ]
    result = await run_direct(subjects, 0.95, tmp_path, parallel=3)
    assert [host.verdict for host in result.hosts] == ["clean", "skipped", "inconclusive"]
    assert [host.why for host in result.hosts[1:]] == ["no /dev/kvm \x1b[2J", "it stalled"]
    assert result.failed
    assert read_direct_result(tmp_path) == result
    assert "no /dev/kvm \\x1b[2J" in shown(result, 80)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TransientError("starting a lab: no room"), 6),
        (ProcessStartError("the direct test", "Cannot allocate memory"), 6),
        (ProcessStartError("the direct test", "Exec format error"), 4),
        (InfraError("it stalled"), 4),
        (UnfitError("no /dev/kvm"), 3),
    ],
)
async def test_trouble_that_may_pass_is_inconclusive(
    tmp_path: Path, error: LosttickError, code: int
) -> None:
    subjects = [Subject("a", counted(0)), Subject("b", failing(error))]
    result = await run_direct(subjects, 0.95, tmp_path)
    assert result_exit(result.ends) == code
    again = CliRunner().invoke(whole_app(), ["show", str(tmp_path)])
    assert again.exit_code == code


async def test_an_interrupted_test_says_so(tmp_path: Path) -> None:
    reached = asyncio.Event()

    async def endless(log: HostLog) -> None:
        reached.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(run_direct([Subject("a", endless)], 0.95, tmp_path))
    await reached.wait()
    assert read_direct_result(tmp_path).interrupted == STILL_GOES_ON
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    result = read_direct_result(tmp_path)
    assert (result.verdict, result.interrupted) == (Verdict.INCONCLUSIVE, "a signal stopped it")
    assert "The test has not ended: a signal stopped it." in shown(result, 80)


@pytest.mark.parametrize("lost", [0, 100])
@pytest.mark.parametrize("fails", [True, False])
async def test_what_was_counted_until_the_end_is_kept(
    tmp_path: Path, lost: int, *, fails: bool
) -> None:
    """Of two hosts side by side, whether a signal ends the test or an error that of one host."""
    reached = asyncio.Event()

    async def partly(log: HostLog) -> None:
        log.came_up(FACTS)
        log.counted(Series(0, 100, lost, 0, 20, 1.0))
        reached.set()
        if fails:
            raise InfraError("it stalled")
        await asyncio.Event().wait()

    subjects = [Subject("a", counted(0)), Subject("b", partly)]
    task = asyncio.create_task(run_direct(subjects, 0.95, tmp_path, parallel=2))
    await reached.wait()
    if not fails:
        task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    whole, part = read_direct_result(tmp_path).hosts
    assert (whole.verdict, len(whole.series)) == (Verdict.CLEAN, len(TMCCTS))
    assert part.verdict is Verdict.INCONCLUSIVE, "its control is missing"
    assert [(each.series.trials, each.series.lost) for each in part.series] == [(100, lost)]
    assert ("; until then, lost 100 of 100 at TMCCT 0 ns" in part.why) is bool(lost)
    text = CliRunner().invoke(whole_app(), ["show", str(tmp_path)], env={"COLUMNS": "80"}).stdout
    rows = [line.split() for line in text.splitlines()]
    assert ["0", "ns", "100", str(lost)] in [row[:4] for row in rows]


@pytest.mark.parametrize("lost", [0, 100])
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ClaimError("the lab's counters: trials in it would be mistaken"), 4),
        (InfraError("running the direct test: it ended with exit status 1"), 4),
        (TransientError("ending the lab: no room"), 6),
        (UnfitError("the lab's kernel has no such module"), 6),
    ],
)
async def test_a_failure_after_the_control_takes_the_verdict(
    tmp_path: Path, error: LosttickError, code: int, lost: int
) -> None:
    """What ends with an error has counted nothing that can be relied on, with or without losses."""

    async def test(log: HostLog) -> None:
        await counted(lost)(log)
        raise error

    result = await run_direct([Subject("a", test)], 0.95, tmp_path)
    (host,) = result.hosts
    assert (result.verdict, host.verdict) == (Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE)
    assert host.why.startswith(str(error))
    assert ("; until then, lost 100 of 100 at TMCCT 0 ns" in host.why) is bool(lost)
    assert result_exit(result.ends) == code
    assert read_direct_result(tmp_path) == result
    again = CliRunner().invoke(whole_app(), ["show", str(tmp_path)], env={"COLUMNS": "300"})
    assert again.exit_code == code
    assert f"inconclusive: {error}" in again.stdout
    assert ["control", "5", "5"] in [line.split() for line in again.stdout.splitlines()]


@pytest.mark.parametrize("fails", [True, False])
async def test_a_known_arm_is_never_the_answer(tmp_path: Path, *, fails: bool) -> None:
    """The untouched kernel is the question, even if its lab fails or is not reached."""
    reached = asyncio.Event()

    async def question(log: HostLog) -> None:
        reached.set()
        if not fails:
            await asyncio.Event().wait()
        raise InfraError("its lab did not boot")

    asked = LabIdentity("6.1.0-48", "6.1.176", "untouched", True, "Bochs")
    known = LabIdentity("6.1.0-48", "6.1.176", "revert-fix", True, "Bochs", Verdict.AFFECTED)
    subjects = [
        Subject(known.name, counted(100, known), known),
        Subject(asked.name, question, asked),
    ]
    task = asyncio.create_task(run_direct(subjects, 0.95, tmp_path))
    await reached.wait()
    if not fails:
        task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    result = read_direct_result(tmp_path)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert [host.verdict for host in result.hosts] == [Verdict.AFFECTED, Verdict.INCONCLUSIVE]


async def test_the_arms_of_a_lab_fit_80_columns(tmp_path: Path) -> None:
    subjects = []
    for variant in ("untouched", "revert-fix"):
        lab = LabIdentity(
            "6.1.0-48-amd64", "6.1.176-1~bpo13+1", variant, True, "Bochs 3.0",
            expected=Verdict.AFFECTED if variant == "revert-fix" else None,
        )  # fmt: skip
        subjects.append(Subject(lab.name, counted(100 * (variant == "revert-fix"), lab)))
    result = await run_direct(subjects, 0.95, tmp_path)
    assert result.verdict is Verdict.CLEAN
    lines = shown(result, 80).splitlines()
    assert max(cell_len(line) for line in lines if not line.startswith("journal: ")) <= 80
    assert lines[2].split() == ["6.1.176-1~bpo13+1/", *["0"] * len(TMCCTS), "clean"]
    assert lines[4].split() == ["6.1.176-1~bpo13+1/", *["100"] * 4, *["0"] * 3, "affected"]
