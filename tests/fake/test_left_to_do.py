"""What a run could not do is done by `--resume`; a run that did everything is printed again."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.campaign.resume import read_run
from orchestrator.campaign.run import run_plan
from orchestrator.campaign.trouble import MAX_BARREN_INSTANCES
from orchestrator.cli import main
from orchestrator.findings.outcome import Outcome
from orchestrator.host.kvm_access import ABSENT
from orchestrator.journal.counts import CONTROL_TRIES
from orchestrator.plan.load import build_plan
from orchestrator.results.result import read_result
from orchestrator.testing import (
    FACTS,
    FakeHost,
    FakeQemu,
    FakeVcpu,
    Script,
    immediate,
    only_in_trials,
)
from orchestrator.verdict.run import RunResult
from orchestrator.verdict.verdict import Verdict
from orchestrator.vm.config import Accel
from tests.support.cut_short_runs import cut_short, go_on, trials
from tests.support.journal import journal_dicts
from tests.support.virtual_time import in_virtual_time

PLAN = build_plan(
    {
        "axes": {"period_ms": 100, "loads_per_save": 2},
        "limits": {"trials": 6, "rule_out": 0.5},
        "seed": 5,
    },
    "test",
)


#: The host without its KVM.
NO_KVM = replace(FACTS, kvm_device=ABSENT)


def too_late(controls: Callable[[int], bool]) -> Script:
    """Return a script by which the windows of some controls pass before the guest is stopped.

    Args:
        controls: whether it is so of the control that is the Nth QEMU with a control, from 1.
    """
    started: list[FakeQemu] = []

    async def stop(qemu: FakeQemu) -> None:
        if not qemu.config.control_tick:
            return
        if qemu not in started:
            started.append(qemu)
        if controls(started.index(qemu) + 1):
            await qemu.clock.sleep(60 * qemu.period_ns)
            qemu.advance()

    return Script(only_in_trials(immediate), {"stop": stop})


async def test_an_end_control_that_could_not_be_taken_is_taken_by_a_resumed_run(
    tmp_path: Path,
) -> None:
    result = await go_on(tmp_path, too_late(lambda number: number > 1), plan=PLAN)
    (cell,) = result.cells
    assert cell.verdict is Verdict.INCONCLUSIVE
    assert cell.why.startswith(
        "a control could not be taken, after 6 of 6 loads, none of them lost"
    )
    assert "`losttick run --resume DIR` tries again" in cell.why
    assert f"none of {CONTROL_TRIES} tries succeeded" in cell.why
    # Counts and codes agree: one of two was seen, and nothing failed but the host's patience.
    assert (sum(each.seen for each in cell.counts.controls), cell.counts.controls_begun) == (1, 2)
    assert not result.failed
    before = journal_dicts(result.journal)
    result = await go_on(tmp_path, Script(immediate), plan=PLAN)
    (cell,) = result.cells
    assert cell.verdict is Verdict.CLEAN, cell.why
    assert cell.counts.controls_begun == 2
    after = journal_dicts(result.journal)
    assert trials(after) == trials(before)
    assert [r["role"] for r in after[len(before) :] if r["record"] == "instance"] == ["control"]
    assert read_result(tmp_path) == result
    assert read_run(tmp_path).finished


async def test_a_control_rests_longer_and_longer_between_its_tries(tmp_path: Path) -> None:
    """On a busy host, tries within a second all meet the same trouble."""
    host_times: list[int] = []

    async def stop(qemu: FakeQemu) -> None:
        if qemu.config.control_tick:
            await qemu.clock.sleep(60 * qemu.period_ns)
            qemu.advance()

    class Rests(FakeHost):
        async def pressure_percent(self) -> float | None:
            host_times.append(self.clock.now_ns())
            return 10.0

        async def start_qemu(self, *args: Any, **kwargs: Any) -> FakeQemu:
            started.append(self.clock.now_ns())
            return await super().start_qemu(*args, **kwargs)

    started: list[int] = []
    host = Rests(Script(immediate, {"stop": stop}))

    result = await run_plan(host, PLAN, Accel.KVM, tmp_path)
    assert result.verdict is Verdict.INCONCLUSIVE
    tries = started[-CONTROL_TRIES:]
    rests = [next_ns - max(each for each in host_times if each < next_ns) for next_ns in tries[1:]]
    assert [round(rest / 5e8) for rest in rests] == [1, 2, 4, 8, 16]


async def test_a_busy_host_is_waited_for_between_tries(tmp_path: Path) -> None:
    host = FakeHost(too_late(lambda number: number == 1))
    host.pressure = [0.0, 95.0, 90.0, 20.0]

    result = await run_plan(host, PLAN, Accel.KVM, tmp_path)
    assert result.verdict is Verdict.CLEAN
    (pause,) = [r for r in journal_dicts(result.journal) if r["record"] == "pause"]
    assert pause["why"].startswith("QEMU came to nothing 1 time(s) in a row, and in 95 %")
    assert 10e9 <= pause["ns"] < 15e9


async def test_a_host_that_stays_busy_is_waited_for_longer_from_try_to_try(
    tmp_path: Path,
) -> None:
    """Most tries fail for want of a longer window, and each further one has it."""
    host = FakeHost(too_late(lambda number: number < 4))
    host.pressure = [0.0] + [95.0] * 1000
    await run_plan(host, PLAN, Accel.KVM, tmp_path)
    pauses = [r["ns"] for r in journal_dicts(tmp_path / "journal.jsonl") if r["record"] == "pause"
              and "came to nothing" in r["why"]]  # fmt: skip
    assert [round(each / 15e9) for each in pauses] == [1, 2, 4]


async def test_a_control_of_which_nothing_is_known_is_taken_again(tmp_path: Path) -> None:
    """The host stalled in each try. It is neither seen nor overlooked."""

    def stall_at_the_end(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        immediate(qemu, vcpu, number)
        if qemu.config.control_tick and len(seen) > 1:
            qemu.frozen = True
        elif qemu.config.control_tick:
            seen.append(1)
        else:
            seen.append(2)

    seen: list[int] = []
    result = await go_on(tmp_path, Script(stall_at_the_end), plan=PLAN)
    (cell,) = result.cells
    assert cell.verdict is Verdict.INCONCLUSIVE
    assert [each.outcome for each in cell.counts.controls] == [Outcome.LOST, Outcome.UNKNOWN]
    assert "`losttick run --resume DIR` takes a control again" in cell.why
    result = await go_on(tmp_path, Script(immediate), plan=PLAN)
    assert result.verdict is Verdict.CLEAN, result.cells[0].why
    assert result.cells[0].counts.trials == 6
    assert [each.seen for each in result.cells[0].counts.controls] == [True, True]


async def test_a_loss_that_was_overlooked_is_not_injected_again(tmp_path: Path) -> None:
    """Else an observer that misses half of the losses would be called reliable."""

    def ticks_on(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        immediate(qemu, vcpu, number)
        if qemu.config.control_tick:
            vcpu.window_until_ns = None

    result = await go_on(tmp_path, Script(ticks_on), plan=PLAN)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert not any(each.seen for each in result.cells[0].counts.controls)
    assert "--resume" not in result.cells[0].why
    assert read_run(tmp_path).finished


class Flaky(FakeHost):
    """A host some of whose QEMUs with trials do not start."""

    def __init__(self, fails: Callable[[int], bool]) -> None:
        super().__init__(Script(immediate))
        self.fails = fails
        self.tried = 0

    async def start_qemu(self, args: Any, files: Any, *, consoles: int = 1) -> FakeQemu:
        qemu = await super().start_qemu(args, files, consoles=consoles)
        if not qemu.config.control_tick and self.started[1:]:  # the first one is the tryout
            self.tried += 1
            if self.fails(self.tried):
                qemu.monitor.close()
        return qemu


@pytest.fixture
def one_load_a_qemu() -> Any:
    return build_plan(
        {
            "axes": {"period_ms": 100, "cycle": "fresh"},
            "limits": {"trials": 10, "rule_out": 0.5},
            "controls": 1,
        },
        "test",
    )


async def run_on(host: FakeHost, plan: Any, out: Path) -> Any:

    resumed = read_run(out) if any(out.iterdir()) else None
    return await run_plan(host, plan, Accel.KVM, out, resumed=resumed)


async def test_failures_that_are_not_in_a_row_do_not_end_a_cell(
    tmp_path: Path, one_load_a_qemu: Any
) -> None:
    """Every second QEMU fails, which is ten of twenty."""
    host = Flaky(lambda number: number % 2 == 1)
    result = await run_on(host, one_load_a_qemu, tmp_path)
    assert result.cells[0].counts.trials == 10, result.cells[0].why
    assert result.verdict is Verdict.CLEAN
    failures = [r for r in journal_dicts(result.journal) if r["record"] == "failure"]
    assert len(failures) >= 10 > MAX_BARREN_INSTANCES


async def test_a_cell_that_is_given_up_says_so_and_goes_on_when_it_is_resumed(
    tmp_path: Path, one_load_a_qemu: Any
) -> None:
    result = await run_on(Flaky(lambda number: number > 4), one_load_a_qemu, tmp_path)
    (cell,) = result.cells
    assert cell.verdict is Verdict.INCONCLUSIVE
    assert cell.counts.trials == 4
    assert cell.why.startswith("the campaign ended early, after 4 of 10 loads, none of them lost: ")
    assert "the cell was given up, because 3 QEMUs in a row failed before their first load" in (
        cell.why
    )
    assert cell.why.endswith(". `losttick run --resume DIR` tries again")
    assert result.failed
    assert not read_run(tmp_path).finished
    result = await run_on(FakeHost(Script(immediate)), one_load_a_qemu, tmp_path)
    assert result.verdict is Verdict.CLEAN
    assert result.cells[0].counts.trials == 10
    assert len(trials(journal_dicts(result.journal))) == 10


async def test_a_cell_whose_host_is_lost_when_it_is_resumed_goes_on_when_it_is_back(
    tmp_path: Path, one_load_a_qemu: Any
) -> None:
    await cut_short(tmp_path, Script(immediate), "trial", 4, plan=one_load_a_qemu)
    result = await run_on(FakeHost(Script(immediate), NO_KVM), one_load_a_qemu, tmp_path)
    (cell,) = result.cells
    assert (cell.verdict, cell.counts.trials) == (Verdict.INCONCLUSIVE, 4)
    assert cell.why.endswith(". `losttick run --resume DIR` tries again")
    assert not read_run(tmp_path).finished
    result = await run_on(FakeHost(Script(immediate)), one_load_a_qemu, tmp_path)
    assert (result.verdict, result.cells[0].counts.trials) == (Verdict.CLEAN, 10)


async def test_a_cell_that_never_began_is_not_tried_again(
    tmp_path: Path, one_load_a_qemu: Any
) -> None:
    result = await run_on(FakeHost(Script(immediate), NO_KVM), one_load_a_qemu, tmp_path)
    assert result.verdict is Verdict.SKIPPED
    assert "--resume" not in result.cells[0].why
    assert read_run(tmp_path).finished


def test_a_finished_run_is_printed_again_without_a_qemu(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run was killed after its verdict was journalled, and before it was printed."""

    async def twice() -> RunResult:
        result = await go_on(tmp_path, Script(immediate), plan=PLAN)
        host = FakeHost(Script(immediate))
        assert await run_on(host, PLAN, tmp_path) == result
        assert host.started == []
        return result

    result = in_virtual_time(twice)
    journal = result.journal.read_bytes()

    def printed(*args: str) -> tuple[object, str]:
        monkeypatch.setattr("sys.argv", ["losttick", *args])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, capsys.readouterr().out

    monkeypatch.setenv("PATH", "/nonexistent")  # no QEMU is needed
    for option in ([], ["--json"], ["--by-phase"]):
        shown = printed("show", str(tmp_path), *option)
        again = printed("run", "--resume", str(tmp_path), *option)
        assert again == shown
        assert shown[0] == 0
    assert result.journal.read_bytes() == journal


@pytest.mark.parametrize("late", [True, False])
async def test_a_host_on_which_no_save_is_eligible_is_no_failure_of_the_harness(
    tmp_path: Path, one_load_a_qemu: Any, late: bool
) -> None:
    """On a busy host each stop may come so late that the tick is pending. A guest that does not
    tick at all is a failure.
    """

    def look(qemu: FakeQemu) -> str | None:
        if qemu.config.control_tick:
            return None
        if not late:
            qemu.vcpus[0].due_ns = None
            return None
        return qemu.vcpus[0].info_lapic().replace("IRR\t (none)", "IRR\t 64")

    host = FakeHost(Script(immediate, {"info lapic": look}))
    result = await run_on(host, one_load_a_qemu, tmp_path)
    (cell,) = result.cells
    assert cell.verdict is Verdict.INCONCLUSIVE
    assert "the cell was given up" in cell.why
    assert result.failed is not late
