"""One QEMU saves, another loads."""

import contextlib
import errno
import itertools
import os
from dataclasses import replace
from pathlib import Path

from orchestrator.campaign.run import run_plan
from orchestrator.campaign.schedule import OpenHost
from orchestrator.plan.load import build_plan
from orchestrator.process.exit import ProcessExit
from orchestrator.testing import FACTS, FakeHost, FakeQemu, FakeVcpu, Script, immediate
from orchestrator.verdict.run import RunResult
from orchestrator.verdict.verdict import Verdict
from orchestrator.vm.config import Accel
from tests.support.journal import journal_dicts

assert FACTS.qemu is not None
SAVER = replace(
    FACTS.qemu, version="7.2.0", machines=("pc-i440fx-2.12", "pc-i440fx-7.2"),
    machine_aliases={"pc": "pc-i440fx-7.2"},
)  # fmt: skip
LOADER = replace(
    FACTS.qemu, path="/fake/new", version="11.1.0", machines=("pc-i440fx-11.1", "pc-i440fx-7.2"),
    machine_aliases={"pc": "pc-i440fx-11.1"},
)  # fmt: skip


async def pair(
    out: Path, *, script: Script | None = None, swapped: bool = False, **axes: object
) -> tuple[RunResult, FakeHost, FakeHost]:
    """Run a cell whose saves are loaded by another QEMU."""
    facts = (LOADER, SAVER) if swapped else (SAVER, LOADER)
    saver, loader = (
        FakeHost(script or Script(immediate), replace(FACTS, qemu=qemu)) for qemu in facts
    )

    def qemus(name: str) -> OpenHost:
        return lambda: contextlib.nullcontext(loader if name == "other" else saver)

    data = {
        "seed": 1,
        "axes": {"accel": "kvm", "period_ms": 100, "loader": "other", "method": "exec", **axes},
        "limits": {"trials": 5, "rule_out": 0.5},
    }
    result = await run_plan(saver, build_plan(data, "test"), Accel.KVM, out, qemus=qemus)
    assert all(qemu.ended for host in (saver, loader) for qemu in host.started)
    return result, saver, loader


def machines(host: FakeHost) -> set[str]:
    return {qemu.argv[qemu.argv.index("-machine") + 1] for qemu in host.started}


async def test_another_qemu_loads_what_one_saved(tmp_path: Path) -> None:
    result, saver, loader = await pair(tmp_path, loads_per_save=2)
    (cell,) = result.cells
    assert cell.verdict is Verdict.CLEAN, cell.why
    assert cell.cell.id.endswith("/loader=other")
    # One to try the cell and one to try the loader, two controls, three saves of a new guest.
    assert len(saver.started) == 7
    assert len(loader.started) == 1 + 2 + 5
    assert all("-incoming" in qemu.argv for qemu in loader.started)
    assert not any("-incoming" in qemu.argv for qemu in saver.started)
    assert machines(saver) == machines(loader) == {"pc-i440fx-7.2,accel=kvm,kernel-irqchip=on"}
    records = journal_dicts(result.journal)
    (noted,) = [r for r in records if r["record"] == "host" and r["cell"]]
    assert noted["loader"]["version"] == "11.1.0"
    generations = {r["generation"] for r in records if r["record"] == "save"}
    assert generations == {0}


async def test_a_machine_type_that_the_loader_lacks_is_a_skip(tmp_path: Path) -> None:
    result, _, loader = await pair(tmp_path, swapped=True)
    (cell,) = result.cells
    assert cell.verdict is Verdict.SKIPPED
    assert "QEMU 7.2.0 has no machine type pc-i440fx-11.1" in cell.why
    assert not loader.started


async def test_a_state_that_the_loader_refuses_is_a_skip(tmp_path: Path) -> None:
    def refuse(qemu: FakeQemu) -> None:
        if "-incoming" in qemu.argv:
            qemu.end(ProcessExit(1, "Unknown savevm section 'hpet'"))

    script = Script(immediate, {"query-cpus-fast": refuse})
    result, _, _ = await pair(tmp_path, script=script)
    (cell,) = result.cells
    assert cell.verdict is Verdict.SKIPPED
    assert (
        "QEMU 11.1.0 does not load what QEMU 7.2.0 saves of the machine pc-i440fx-7.2: "
    ) in cell.why
    assert "Unknown savevm section 'hpet'" in cell.why


async def test_a_loader_without_room_is_no_skip(tmp_path: Path) -> None:
    def end(qemu: FakeQemu) -> None:
        if "-incoming" in qemu.argv:
            qemu.end(ProcessExit(1, f"load of migration failed: {os.strerror(errno.ENOMEM)}"))

    result, _, _ = await pair(tmp_path, script=Script(immediate, {"query-cpus-fast": end}))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert not result.failed, "a later try may succeed"


async def test_a_loader_that_is_killed_is_no_skip(tmp_path: Path) -> None:
    def kill(qemu: FakeQemu) -> None:
        if "-incoming" in qemu.argv:
            qemu.end(ProcessExit(-9, ""))

    result, _, _ = await pair(tmp_path, script=Script(immediate, {"query-cpus-fast": kill}))
    assert result.failed
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "signal 9" in result.cells[0].why


async def test_what_has_no_second_qemu_is_a_skip(tmp_path: Path) -> None:
    for name, axes in {"a": {"method": "hmp"}, "b": {"cycle": "chain"}}.items():
        (tmp_path / name).mkdir()
        result, _, loader = await pair(tmp_path / name, **axes)
        assert result.verdict is Verdict.SKIPPED
        assert result.cells[0].why.startswith(("loader other: ", "Loader other: "))
        assert not loader.started


async def test_shams_run_by_the_qemu_that_loads(tmp_path: Path) -> None:
    """Else a QEMU that is slower than the one that saves would be taken for slow loads."""
    loads = itertools.count()

    def first_late(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        immediate(qemu, vcpu, number)
        if not qemu.config.control_tick and next(loads) == 1:  # one tries the loader
            vcpu.due_ns = vcpu.ran_ns + int(3.2 * qemu.period_ns)

    result, saver, loader = await pair(tmp_path, script=Script(first_late), loads_per_save=2)
    (cell,) = result.cells
    assert cell.verdict is Verdict.CLEAN, cell.why
    assert machines(saver) == machines(loader) == {"pc-i440fx-7.2,accel=kvm,kernel-irqchip=on"}
    shams = [r for r in journal_dicts(result.journal) if r.get("role") == "sham"]
    started = [r for r in shams if r["record"] == "instance"]
    assert started
    assert sum("-incoming" not in qemu.argv for qemu in loader.started) == len(started)
