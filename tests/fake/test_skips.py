"""A run is never green if something that was asked for was not tested; only a lack is a skip."""

import errno
import io
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from orchestrator.campaign.run import run_plan
from orchestrator.cli.exits import ExitCode, result_exit
from orchestrator.cli.run_table import print_run
from orchestrator.cli.screen import Screen
from orchestrator.errors import Lack
from orchestrator.host.facts import HostFacts
from orchestrator.plan.axes import Axes
from orchestrator.plan.load import build_plan, load_plan
from orchestrator.plan.names import shipped_plans
from orchestrator.process.exit import ProcessExit
from orchestrator.results.result import read_result
from orchestrator.results.summary import summary
from orchestrator.testing import FACTS, FakeHost, Script, immediate
from orchestrator.testing.qemu import FakeQemu
from orchestrator.verdict.run import RunResult
from orchestrator.verdict.verdict import Verdict
from orchestrator.vm.config import Accel

LIMITS = {"trials": 3, "rule_out": 0.7}

NONSENSE = "unsupported machine type"


def refusing(how: ProcessExit, machine: str = "nonsense") -> Script:
    """A script in which QEMUs with one machine end as they start."""

    def command(qemu: FakeQemu) -> None:
        if qemu.argument("-machine").startswith(machine):
            qemu.end(how)

    return Script(immediate, {"query-cpus-fast": command})


async def run(
    out: Path, script: Script | None = None, facts: HostFacts = FACTS, **settings: Any
) -> RunResult:
    settings.setdefault("axes", {"machine": ["pc", "nonsense"]})
    settings["axes"] = {"accel": "kvm", "period_ms": 100} | settings["axes"]
    plan = build_plan({"limits": LIMITS, "seed": 7, **settings}, "test")
    host = FakeHost(script or refusing(ProcessExit(1, NONSENSE)), facts)
    result = await run_plan(host, plan, Accel.KVM, out)
    assert read_result(out) == result
    return result


def shown(run: RunResult) -> str:
    text = io.StringIO()
    print_run(Screen(Console(file=text, width=2000)), run)
    return text.getvalue()


async def test_a_cell_that_was_not_tested_is_not_green(tmp_path: Path) -> None:
    result = await run(tmp_path)
    good, skipped = result.cells
    assert (good.verdict, skipped.verdict) == (Verdict.CLEAN, Verdict.SKIPPED)
    assert result.verdict is Verdict.SKIPPED
    assert result_exit(result.ends) is ExitCode.UNFIT
    text = shown(result)
    table, _, words = text.partition("\n\n")
    assert f"{good.cell.id}  " in table
    assert f"{skipped.cell.id}  " in table
    said = (
        "skipped: 1 of 2 cells was not tested, so this run is not clean. The reason, for "
        f"{skipped.cell.id}: starting QEMU: it ended: exit status 1: {NONSENSE}."
    )
    assert words.startswith(said)
    assert f"{good.cell.id}: clean: No loss in 3 loads" in words
    data = summary(result)
    assert data["verdict"] == "skipped"
    assert [cell["lacks"] for cell in data["cells"]] == [None, "machine"]
    assert "All" not in result.statement


async def test_a_plan_accepts_a_skip_by_its_reason(tmp_path: Path) -> None:
    for accepted, verdict in ((["machine"], Verdict.CLEAN), (["cpu"], Verdict.SKIPPED)):
        out = tmp_path / accepted[0]
        out.mkdir()
        result = await run(out, accept_skips=accepted)
        assert result.verdict is verdict
        assert (result_exit(result.ends) == 0) is (verdict is Verdict.CLEAN)
        text, data = shown(result), summary(result)
        skipped = result.cells[1].cell.id
        assert f"{skipped}  " in text.partition("\n\n")[0]
        assert data["cells"][1]["skip_accepted"] is (verdict is Verdict.CLEAN)
        if verdict is Verdict.CLEAN:
            assert f"{skipped}: skipped, as the plan accepts: " in text


async def test_a_run_of_nothing_but_accepted_skips_is_not_green(tmp_path: Path) -> None:
    result = await run(tmp_path, axes={"machine": "nonsense"}, accept_skips=["machine"])
    assert result.verdict is Verdict.SKIPPED
    assert result_exit(result.ends) is ExitCode.UNFIT


def test_what_the_command_line_asks_for_is_not_optional() -> None:
    assert load_plan("methods", {}).accept_skips == [Lack.METHOD]
    for axes, accepted in (
        ({"method": ["jobs"]}, []),
        ({"machine": ["q35"], "method": None}, [Lack.METHOD]),
    ):
        assert load_plan("methods", {"axes": axes}).accept_skips == accepted


def test_shipped_plans_accept_only_methods_that_a_qemu_lacks() -> None:
    accepted = {name: load_plan(name, {}).accept_skips for name in shipped_plans()}
    assert {name for name, lacks in accepted.items() if lacks} == {"methods", "nightly", "deep"}
    assert all(set(lacks) <= {Lack.METHOD} for lacks in accepted.values())


def test_each_lack_is_an_axis() -> None:
    assert {lack.value for lack in Lack} <= set(Axes.model_fields)


ABORT = ProcessExit(-6, "qemu: ../hw/i386/x86.c:42: x86_cpu_new: Assertion `!err' failed.")


@pytest.mark.parametrize(
    "how",
    [
        ABORT,
        ProcessExit(-11, "warning: host doesn't support requested feature"),
        ProcessExit(1, ""),
        ProcessExit(127, "qemu-system-x86_64: not found"),
        ProcessExit(1, "the supervisor was killed", of_its_host=True),
        ProcessExit(1, f"Could not open 'disk.qcow2': {os.strerror(errno.EACCES)}"),
    ],
    ids=str,
)
async def test_a_failure_to_start_that_is_no_refusal_is_no_skip(
    tmp_path: Path, how: ProcessExit
) -> None:
    result = await run(tmp_path, refusing(how))
    good, other = result.cells
    assert (good.verdict, other.verdict) == (Verdict.CLEAN, Verdict.INCONCLUSIVE)
    assert result_exit(result.ends) is ExitCode.HARNESS
    assert str(how).rstrip(".") in other.why


@pytest.mark.parametrize("number", [errno.ENOMEM, errno.ENOSPC, errno.EAGAIN, errno.EBUSY])
async def test_a_host_without_room_is_neither_a_skip_nor_a_failure(
    tmp_path: Path, number: int
) -> None:
    words = f"qemu: cannot set up guest memory 'pc.ram': {os.strerror(number)}"
    result = await run(tmp_path, refusing(ProcessExit(1, words)))
    good, other = result.cells
    assert (good.verdict, other.verdict) == (Verdict.CLEAN, Verdict.INCONCLUSIVE)
    assert words in other.why
    assert result_exit(result.ends) is ExitCode.INCONCLUSIVE


@pytest.mark.parametrize("accel", list(Accel))
async def test_a_refusal_of_the_plainest_machine_is_not_about_the_option(
    tmp_path: Path, accel: Accel
) -> None:
    """Then a refusal of another machine says nothing about that machine."""
    result = await run(
        tmp_path,
        refusing(ProcessExit(1, "could not find a firmware"), ""),
        axes={"machine": ["pc", "nonsense"], "accel": accel},
    )
    assert [cell.verdict for cell in result.cells] == [Verdict.INCONCLUSIVE] * 2
    assert result_exit(result.ends) is ExitCode.HARNESS


async def test_a_busy_host_is_neither_a_skip_nor_a_failure(tmp_path: Path) -> None:
    def starve(qemu: FakeQemu) -> None:
        if qemu.argument("-machine").startswith("nonsense"):
            qemu.frozen = True

    result = await run(tmp_path, Script(immediate, {"query-cpus-fast": starve}))
    good, other = result.cells
    assert (good.verdict, other.verdict) == (Verdict.CLEAN, Verdict.INCONCLUSIVE)
    assert "while the host is less busy" in other.why
    assert result_exit(result.ends) is ExitCode.INCONCLUSIVE


@pytest.mark.parametrize(
    ("axes", "words", "lacks"),
    [
        ({"machine": "q35"}, "unsupported machine type", "machine"),
        ({"cpu": "Cooperlake"}, "unable to find CPU model 'Cooperlake'", "cpu"),
        ({"irqchip": "split"}, "Split IRQ chip is not supported: irqchip", "irqchip"),
        ({"mode": "hv-stimer"}, "kernel doesn't allow setting HyperV VP_INDEX", "mode"),
        ({"vmstate": "second"}, "too many disks", "vmstate"),
        # QEMU's words name neither, or what is not special.
        ({"mode": "periodic", "cpu": "Cooperlake"}, "it can't be", None),
        ({"memory_mib": 64}, "unsupported machine type", None),
        ({"qemu_args": "-device nonsense"}, "'nonsense' is not a valid device model", None),
    ],
)
async def test_a_refusal_names_the_axis_that_is_to_blame(
    tmp_path: Path, axes: dict[str, object], words: str, lacks: str | None
) -> None:
    plain = None

    def refuse(qemu: FakeQemu) -> None:
        nonlocal plain
        shape = [arg for arg in qemu.argv if not arg.startswith("name=opt/")]
        plain = plain or shape  # the first machine that starts is the cell's own
        if shape == plain:
            qemu.end(ProcessExit(1, words))

    result = await run(tmp_path, Script(immediate, {"query-cpus-fast": refuse}), axes=axes)
    (cell,) = result.cells
    assert cell.verdict is Verdict.SKIPPED, cell.why
    assert cell.counts.lacks == lacks


async def test_qemus_own_lapic_has_no_tsc_deadline(tmp_path: Path) -> None:
    """A CPU model may offer it all the same."""
    axes = {"mode": "tsc-deadline", "irqchip": ["split", "off"]}
    result = await run(tmp_path, Script(), axes=axes)
    split, off = result.cells
    assert (split.verdict, off.verdict) == (Verdict.CLEAN, Verdict.SKIPPED), split.why
    assert off.counts.lacks == Lack.MODE
    assert "the LAPIC is QEMU's own, which has no such timer" in off.why


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (replace(FACTS, kvm_device="absent"), "there is no KVM here (no /dev/kvm)"),
        (
            replace(FACTS, kvm_device="permission denied"),
            "this host's KVM was not tested: /dev/kvm can't be opened (permission denied)",
        ),
    ],
)
async def test_a_host_without_kvm_lacks_the_accelerator(
    tmp_path: Path, facts: HostFacts, words: str
) -> None:
    """TCG, which was asked for as well, is tested all the same."""
    result = await run(tmp_path, facts=facts, axes={"accel": ["kvm", "tcg"]})
    assert [cell.verdict for cell in result.cells] == [Verdict.SKIPPED, Verdict.CLEAN]
    assert result.cells[0].why.startswith(words)
    assert result.cells[0].counts.lacks == Lack.ACCEL
    assert result_exit(result.ends) is ExitCode.UNFIT
    assert "QEMU's own LAPIC" in summary(result)["cells"][1]["meaning"]
