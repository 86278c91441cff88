"""Plans of several cells on a host that is nothing but the protocol."""

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.bugs.exposure import ExposureState
from orchestrator.campaign.preview import preview
from orchestrator.campaign.run import run_plan
from orchestrator.campaign.schedule import OpenHost
from orchestrator.errors import UnfitError
from orchestrator.host.errors import QemuStartError
from orchestrator.host.protocol import Host
from orchestrator.plan.load import build_plan
from orchestrator.process.exit import ProcessExit
from orchestrator.results.summary import summary
from orchestrator.testing import FakeHost, Script, immediate
from orchestrator.testing.qemu import FakeQemu
from orchestrator.verdict.run import RunResult
from orchestrator.verdict.verdict import Verdict
from orchestrator.vm.config import Accel
from tests.support.journal import journal_dicts

PERIOD_MS = 100


async def run(
    out: Path,
    axes: dict[str, object],
    auto: Accel = Accel.KVM,
    qemus: Callable[[str], OpenHost] | None = None,
    **settings: Any,
) -> tuple[RunResult, list[dict[str, Any]]]:
    out.mkdir(exist_ok=True)
    limits = {"trials": 3, "rule_out": 0.7} | settings.pop("limits", {})
    plan = build_plan(
        {"axes": {"period_ms": PERIOD_MS, **axes}, "limits": limits, "seed": 7, **settings}, "test"
    )
    host = FakeHost(Script(immediate))
    result = await run_plan(host, plan, auto, out, qemus=qemus)
    return result, journal_dicts(result.journal)


def saves(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        record
        for record in records
        if record["record"] == "save" and record["role"] == "host" and record["eligible"]
    ]


async def test_the_same_seed_gives_the_same_cells_and_phases_in_the_same_order(
    tmp_path: Path,
) -> None:
    axes = {
        "mode": ["one-shot", "periodic"],
        "phase": ["random", "0.2-0.8", 0.3],
        "loads_per_save": 1,
    }
    chosen = []
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        result, records = await run(tmp_path / name, axes, seed=seed, controls=1)
        began = dict.fromkeys(r["cell"] for r in records if r["record"] == "instance")
        phases = {
            result.cell.id: [
                save["intended_phase"] for save in saves(records) if save["cell"] == result.cell.id
            ]
            for result in result.cells
        }
        assert all(len(drawn) >= 3 for drawn in phases.values())
        chosen.append((list(began), {cell: drawn[:3] for cell, drawn in phases.items()}))
    assert chosen[0] == chosen[1]
    assert chosen[0][1] != chosen[2][1], "another seed draws other phases"


async def test_phases_are_where_the_plan_wants_them(tmp_path: Path) -> None:
    _, records = await run(tmp_path, {"phase": [0.2, 0.8]})
    for save in saves(records):
        wanted = float(save["cell"].rpartition("=")[2])
        assert save["intended_phase"] == wanted
        assert abs(save["phase"] - wanted) <= 0.1
        # At 0.8 a fifth of a period is left, which a slow machine takes to save.
        assert save["expired"] is (save["phase"] + save["stopped_periods"] > 1)


async def test_an_expired_save_waits_for_more_than_a_period(tmp_path: Path) -> None:
    result, records = await run(tmp_path, {"phase": "expired"})
    (save,) = saves(records)
    assert save["stopped_periods"] > 1
    assert save["expired"] is True
    assert 0.35 <= save["phase"] <= 0.65
    (cell,) = summary(result)["cells"]
    (phases,) = cell["phases"]
    assert phases["expired"] is True
    assert (phases["saves"], phases["trials"]) == (1, 3)
    assert phases["outcomes"] == cell["outcomes"]


@pytest.mark.parametrize(
    ("axes", "words"),
    [
        ({"irqchip": "split"}, "irqchip split is a choice of KVM"),
        ({"phase": "expired"}, "stops with the instance"),
    ],
)
async def test_what_tcg_can_not_do_is_skipped(
    tmp_path: Path, axes: dict[str, object], words: str
) -> None:
    result, records = await run(tmp_path, axes, Accel.TCG)
    (cell,) = result.cells
    assert cell.verdict is Verdict.SKIPPED
    assert words in cell.why
    assert not saves(records)


async def test_a_lapic_of_qemus_own_is_not_exposed(tmp_path: Path) -> None:
    result, _ = await run(tmp_path, {"irqchip": ["on", "off"]})
    assert [cell.exposure.state for cell in result.cells] == [
        ExposureState.EXPOSED,
        ExposureState.NOT_EXPOSED,
    ]


async def test_a_machine_that_tcg_does_not_have_is_a_skip(tmp_path: Path) -> None:
    def refuse(qemu: FakeQemu) -> None:
        if qemu.argument("-machine").startswith("pc-i440fx-0.1"):
            qemu.end(ProcessExit(1, "unsupported machine type"))

    def without(name: str) -> OpenHost:
        host = FakeHost(Script(immediate, {"query-cpus-fast": refuse}))
        return lambda: contextlib.nullcontext(host)

    result, _ = await run(tmp_path, {"machine": "pc-i440fx-0.1"}, Accel.TCG, without)
    assert result.verdict is Verdict.SKIPPED
    assert "unsupported machine type" in result.cells[0].why


async def test_time_is_up(tmp_path: Path) -> None:
    limits = {"trials": 1000, "rule_out": 0.7, "seconds": 3.0}
    result, _ = await run(tmp_path, {}, limits=limits)
    (cell,) = result.cells
    assert cell.counts.out_of_time
    assert 0 < cell.counts.outcomes.total() < 1000
    assert len(cell.counts.controls) == 2


@pytest.mark.parametrize("controls", [0, 1])
async def test_without_a_control_nothing_is_clean(tmp_path: Path, controls: int) -> None:
    result, records = await run(tmp_path, {}, controls=controls)
    (cell,) = result.cells
    assert len(cell.counts.controls) == controls
    assert sum(r["record"] == "save" and r["role"] == "control" for r in records) == controls
    assert cell.verdict is (Verdict.CLEAN if controls else Verdict.INCONCLUSIVE)


class Qemus:
    """Hosts by their QEMU: one is there, one is missing, one is broken."""

    def __init__(self) -> None:
        self.hosts = {"there": FakeHost(Script(immediate)), "broken": FakeHost()}
        self.hosts["broken"].refuse = "it is broken"

    def __call__(self, name: str) -> OpenHost:
        @contextlib.asynccontextmanager
        async def open_host() -> AsyncIterator[Host]:
            if name == "absent":
                raise UnfitError(f"looking for QEMU: {name!r} is not an executable file")
            if name == "silly":
                raise QemuStartError("it does not answer", doing=f"asking {name} what it is")
            yield self.hosts[name]

        return open_host


async def test_each_cell_runs_on_its_qemu(tmp_path: Path) -> None:
    qemus = Qemus()
    names = ["there", "absent", "broken", "silly"]
    result, records = await run(tmp_path, {"qemu": names}, qemus=qemus)
    assert [cell.verdict for cell in result.cells] == [
        Verdict.CLEAN, Verdict.SKIPPED, Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE,
    ]  # fmt: skip
    assert "'absent' is not an executable file" in result.cells[1].why
    assert "does not answer" in result.cells[3].why
    assert len(qemus.hosts["there"].started) >= 4
    assert {save["cell"] for save in saves(records)} == {result.cells[0].cell.id}
    assert result.cells[0].cell.id.endswith("/qemu=there")


async def test_one_host_is_no_other_qemu(tmp_path: Path) -> None:
    result, _ = await run(tmp_path, {"qemu": ["qemu-system-x86_64", "/opt/other"]})
    assert [cell.verdict for cell in result.cells] == [Verdict.CLEAN, Verdict.SKIPPED]
    assert "names QEMU /opt/other" in result.cells[1].why


async def test_a_preview_says_what_would_be_skipped_and_why() -> None:
    qemus = Qemus()
    plan = build_plan(
        {
            "axes": {
                "qemu": ["there", "absent", "silly"], "phase": ["random", 0.1, "expired"],
                "period_ms": PERIOD_MS,
            }
        },
        "test",
    )  # fmt: skip
    found = [each async for each in preview(plan.cells(Accel.KVM), qemus)]
    assert [each.cell for each in found] == plan.cells(Accel.KVM)
    told = {(each.cell.qemu, each.fails, (each.why_not or "")[:16]) for each in found}
    assert told == {
        ("there", False, ""),
        ("absent", False, "looking for QEMU"),
        ("silly", True, "asking silly wha"),
    }
    # A phase makes no machine of its own.
    assert len(qemus.hosts["there"].started) == 1
