"""`auto` periods on a fake host: chosen, journalled, kept, and used."""

import contextlib
import itertools
from pathlib import Path
from typing import Any

import pytest

from orchestrator.campaign.preview import preview
from orchestrator.campaign.resume import read_run
from orchestrator.campaign.run import run_plan
from orchestrator.plan.load import build_plan
from orchestrator.results.result import read_result
from orchestrator.results.summary import summary
from orchestrator.testing import FakeHost, FakeQemu, Script, immediate
from orchestrator.testing.script import Behaviour
from orchestrator.verdict.verdict import Verdict
from orchestrator.vm.config import Accel
from tests.support.journal import journal_dicts

MS = 1_000_000

ID = "kvm/one-shot/xapic/hmp/auto/25loads"

PLAN = build_plan(
    {"seed": 4, "axes": {"accel": "kvm"}, "limits": {"trials": 6, "rule_out": 0.5}}, "test"
)


def late_stops(delay_ns: int, on_load: Behaviour = immediate) -> Script:
    """Return the script of a host on which every other stop is late."""
    turns = itertools.count()

    async def stop(qemu: FakeQemu) -> None:
        if next(turns) % 2:
            await qemu.clock.sleep(delay_ns)
            qemu.advance()

    return Script(on_load, {"stop": stop})


async def run(out: Path, script: Script, **more: Any) -> tuple[FakeHost, list[dict[str, Any]]]:
    host = FakeHost(script)
    result = await run_plan(host, PLAN, Accel.KVM, out, **more)
    assert result.cells[0].cell.id == ID
    assert result.verdict is Verdict.CLEAN, result.cells[0].why
    return host, journal_dicts(result.journal)


@pytest.mark.parametrize(
    ("delay_ms", "period_ms", "why"),
    [(0.0, 5, []), (2.0, 20, ["stops land", "stops land"]), (17.0, 100, ["stops land"] * 4)],
)
async def test_a_slower_host_gets_a_longer_period(
    tmp_path: Path, delay_ms: float, period_ms: int, why: list[str]
) -> None:
    host, records = await run(tmp_path, late_stops(int(delay_ms * MS)))
    (record,) = [each for each in records if each["record"] == "period"]
    assert (record["cell"], record["period_ns"]) == (ID, period_ms * MS)
    refused = read_result(tmp_path).cells[0].counts.periods_tried
    assert [each.why_not[: len("stops land")] for each in refused if each.why_not] == why
    measured = record["tried"][-1]
    if period_ms == 5:
        assert (measured["gaps"], measured["stops"]) == (20, 12)
    # The attempt at each shorter period has a QEMU of its own; all later ones have this period.
    later = [qemu.period_ns for qemu in host.started[1 + len(record["tried"]) :]]
    assert len(later) >= 3
    assert set(later) == {period_ms * MS}
    controls = [qemu.config for qemu in host.started if qemu.config.control_tick]
    assert {each.control_periods * each.period_ns >= 120 * MS for each in controls} == {True}


async def test_a_host_whose_guests_print_slowly_begins_with_a_longer_period(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeHost, "slow_uart", True)
    host, records = await run(tmp_path, late_stops(9 * MS))
    (record,) = [each for each in records if each["record"] == "period"]
    assert [each["period_ns"] for each in record["tried"]] == [60 * MS, 100 * MS]
    assert host.started[-1].period_ns == 100 * MS


async def test_stops_that_are_all_late_by_as_much_are_aimed_sooner(tmp_path: Path) -> None:
    async def stop(qemu: FakeQemu) -> None:
        await qemu.clock.sleep(MS)
        qemu.advance()

    _, records = await run(tmp_path, Script(immediate, {"stop": stop}))
    (record,) = [each for each in records if each["record"] == "period"]
    assert record["period_ns"] == 5 * MS
    assert record["tried"][0]["stop_error"] < 0.01


async def test_one_stop_of_twelve_may_miss_its_aim(tmp_path: Path) -> None:
    stops = itertools.count()

    async def stop(qemu: FakeQemu) -> None:
        if next(stops) == 5:
            await qemu.clock.sleep(2 * MS)
            qemu.advance()

    _, records = await run(tmp_path, Script(immediate, {"stop": stop}))
    (record,) = [each for each in records if each["record"] == "period"]
    assert record["period_ns"] == 5 * MS
    assert record["tried"][0]["stops"] == 12


@pytest.mark.parametrize(("mode", "first"), [("one-shot", 7), ("periodic", 20)])
async def test_gaps_of_a_timer_that_runs_by_itself_are_measured_before_any_stop(
    tmp_path: Path, mode: str, first: int
) -> None:
    """Its tick after a stop may be late, and the next tick so much sooner."""
    ticks: list[int] = []

    def stop(qemu: FakeQemu) -> None:
        ticks.append(qemu.vcpus[0].ticks)

    axes = {"accel": "kvm", "mode": mode}
    plan = build_plan({"axes": axes, "limits": {"trials": 1, "rule_out": 0.96}}, "test")
    await run_plan(FakeHost(Script(immediate, {"stop": stop})), plan, Accel.KVM, tmp_path)
    (record,) = [each for each in journal_dicts(tmp_path / "journal.jsonl") if "tried" in each]
    assert (record["tried"][0]["gaps"], record["tried"][0]["stops"]) == (20, 12)
    assert first <= ticks[0] <= first + 4


async def test_results_name_the_period(tmp_path: Path) -> None:
    await run(tmp_path, late_stops(2 * MS))
    (cell,) = summary(read_result(tmp_path))["cells"]
    assert cell["id"] == ID
    assert cell["period_ms"] == 20
    assert [each["period_ns"] for each in cell["periods_tried"]] == [5 * MS, 10 * MS, 20 * MS]


async def test_a_resumed_run_keeps_the_period_of_its_journal(tmp_path: Path) -> None:
    """The host has become quicker meanwhile: the trials of a cell must not mix two periods."""

    await run(tmp_path, late_stops(2 * MS))
    path = tmp_path / "journal.jsonl"
    lines = path.read_text().splitlines()
    kinds = [line.split('"')[3] for line in lines]
    cut = kinds.index("trial", kinds.index("save") + 2)
    path.write_text("\n".join(lines[: cut + 1]) + "\n")
    host, records = await run(tmp_path, Script(immediate), resumed=read_run(tmp_path))
    assert [each["period_ns"] for each in records if each["record"] == "period"] == [20 * MS]
    assert {qemu.period_ns for qemu in host.started[1:]} == {20 * MS}


async def test_an_explicit_period_is_not_measured(tmp_path: Path) -> None:
    plan = build_plan(
        {"axes": {"period_ms": 5}, "limits": {"trials": 3, "rule_out": 0.7}, "controls": 0}, "test"
    )
    host = FakeHost(late_stops(2 * MS))
    result = await run_plan(host, plan, Accel.KVM, tmp_path)
    assert result.cells[0].cell.id.startswith("kvm/one-shot/xapic/hmp/5ms/")
    assert result.cells[0].counts.period_ns == 5 * MS
    assert not any(each["record"] == "period" for each in journal_dicts(result.journal))


async def test_a_preview_measures_the_period() -> None:
    cells = PLAN.cells(Accel.KVM)
    host = FakeHost(late_stops(2 * MS))
    (found,) = [
        each async for each in preview(cells, lambda name: lambda: contextlib.nullcontext(host))
    ]
    assert (found.cell.id, found.why_not, found.period_ns) == (ID, None, 20 * MS)


async def test_saves_whose_timer_had_run_out_are_counted(tmp_path: Path) -> None:
    """Each save takes longer than a period of 5 ms has left."""

    async def slow(qemu: FakeQemu) -> None:
        await qemu.clock.sleep(4 * MS)

    plan = build_plan(
        {
            "axes": {"period_ms": [5, 100], "loads_per_save": 2},
            "limits": {"trials": 4, "rule_out": 0.6}, "controls": 0,
        },
        "test",
    )  # fmt: skip
    host = FakeHost(Script(immediate, {"info registers": slow}))
    result = await run_plan(host, plan, Accel.KVM, tmp_path)
    counts = [cell.counts for cell in result.cells]
    assert [(each.saves, each.expired_saves) for each in counts] == [(2, 2), (2, 0)]
    assert [cell["expired_saves"] for cell in summary(result)["cells"]] == [2, 0]
