"""Every further axis, with each of its values, with a real QEMU: nothing is lost.

The usual run tries each value with a few loads. All of them with many:
`LOSTTICK_TEST_TRIALS=300 pytest tests/e2e/test_axes.py`.
"""

import contextlib
import itertools
from pathlib import Path
from typing import Any

import pytest

from orchestrator.campaign.preview import preview
from orchestrator.campaign.run import run_plan
from orchestrator.campaign.schedule import OpenHost
from orchestrator.host.facts import HostFacts
from orchestrator.host.local import LocalHost
from orchestrator.plan.load import build_plan, load_plan
from orchestrator.snapshot.method import Method, Resume
from orchestrator.verdict.run import CellResult
from orchestrator.verdict.verdict import Verdict
from orchestrator.vm.config import Accel
from orchestrator.vm.machine import machine_on
from tests.support.campaigns import assert_clean, campaign
from tests.support.journal import journal_dicts
from tests.support.method_loads import MANY, NEW, OLD, PERIOD_MS, TRIALS, require
from tests.support.needs import not_applicable
from tests.support.qemus import host_with_qemu

#: Longer than that of the methods: a load of 300 may wait 10 s, too.
pytestmark = pytest.mark.timeout(1800)

#: Axes of a virtual machine of one's own, each with a method that it concerns.
MACHINES: tuple[dict[str, Any], ...] = (
    {"machine": "pc,hpet=off"},
    {"machine": "q35,usb=off", "method": "exec"},
    {"machine": "pc-i440fx-oldest"},
    {"machine": "pc-i440fx-2.12-or-later", "method": "loadvm"},
    {"cpu": "qemu64,hv-relaxed"},
    {"qemu_args": "-device virtio-rng-pci -rtc base=utc,clock=vm"},
    {"qemu_args": "-device virtio-rng-pci", "method": "exec"},
    {"vmstate": "second", "method": "hmp"},
    {"vmstate": "second", "method": "jobs"},
    {"vmstate": "second", "method": "jobs-hmp"},
    {"vmstate": "second", "method": "jobs-loadvm"},
    {"firmware": "pflash"},
    {"firmware": "pflash", "method": "exec"},
    {"firmware": "pflash", "method": "loadvm", "vmstate": "second"},
)

PAUSES: tuple[dict[str, Any], ...] = (
    {"pause_before_load": "3 periods"},
    {"pause_before_cont": "3 periods"},
    # A periodic timer's control is a window of few periods, which a busy machine can miss.
    {
        "pause_before_load": "3 periods",
        "pause_before_cont": "3 periods",
        "mode": "periodic",
        "period_ms": 100,
    },
    {"pause_before_cont": "3 periods", "mode": "tsc-deadline"},
    {"pause_before_load": "3 periods", "resume": "auto"},
)

#: Behaviours of the guest: it halts, holds its LAPIC in a state, or ticks by another timer.
GUESTS = (
    {"wait": "halt"},
    {"wait": "halt", "mode": "periodic"},
    {"wait": "halt", "vcpus": 2, "period_ms": 50},
    {"state": "pending"},
    {"state": "in-service"},
    {"state": "masked"},
    {"state": "tpr"},
    {"state": "pending", "mode": "periodic"},
    {"mode": "pit"},
    {"mode": "rtc", "period_ms": 31.25},
)

#: A pause that lasts, with few loads whatever is asked for.
LONG = {"pause_before_load": "4 s", "pause_before_cont": "4 s"}


def named(value: object) -> str:
    return "-".join(map(str, value.values())) if isinstance(value, dict) else str(value)


@pytest.mark.parametrize("method", list(Method))
async def test_guests_that_run_on_by_themselves(
    host: LocalHost, facts: HostFacts, tmp_path: Path, accel: Accel, best_accel: Accel,
    method: Method,
) -> None:  # fmt: skip
    require(method, facts.qemu)
    few = TRIALS < MANY and accel is not best_accel
    if few and method not in (Method.HMP, Method.EXEC):
        not_applicable(f"tried under {best_accel}; here with LOSTTICK_TEST_TRIALS={MANY}")
    cell = await campaign(
        host, tmp_path, accel, TRIALS, method=method, resume="auto", period_ms=PERIOD_MS
    )
    assert_clean(cell, TRIALS)
    argvs = [r["argv"] for r in journal_dicts(tmp_path / "journal.jsonl") if "argv" in r]
    assert not any("-S" in argv for argv in argvs)


async def test_two_vcpus_run_on_by_themselves(
    host: LocalHost, tmp_path: Path, accel: Accel
) -> None:
    cell = await campaign(host, tmp_path, accel, TRIALS, vcpus=2, resume="auto", period_ms=50)
    assert_clean(cell, TRIALS)


@pytest.mark.parametrize("axes", [*PAUSES, *MACHINES], ids=named)
async def test_every_value(
    host: LocalHost, facts: HostFacts, tmp_path: Path, accel: Accel, best_accel: Accel,
    axes: dict[str, Any],
) -> None:  # fmt: skip
    require(Method(axes.get("method", "hmp")), facts.qemu)
    if TRIALS < MANY and accel is not best_accel and axes not in (*PAUSES[:2], *MACHINES[:1]):
        not_applicable(f"tried under {best_accel}; here with LOSTTICK_TEST_TRIALS={MANY}")
    if accel is Accel.TCG and axes.get("mode") == "tsc-deadline":
        not_applicable("TCG has no TSC-deadline timer")
    cell = await campaign(host, tmp_path, accel, TRIALS, **{"period_ms": PERIOD_MS} | axes)
    assert_clean(cell, TRIALS)


@pytest.mark.parametrize("axes", GUESTS, ids=named)
async def test_what_the_guest_does(
    host: LocalHost, tmp_path: Path, accel: Accel, axes: dict[str, object]
) -> None:
    cell = await campaign(host, tmp_path, accel, TRIALS, **{"period_ms": PERIOD_MS, **axes})
    if "cannot be had here" in cell.why:
        not_applicable(cell.why)
    assert_clean(cell, TRIALS)


async def test_a_long_pause(host: LocalHost, tmp_path: Path, best_accel: Accel) -> None:
    cell = await campaign(host, tmp_path, best_accel, 3, period_ms=PERIOD_MS, **LONG)
    assert_clean(cell, 3)


#: Which QEMU saves and which loads; None is the host's own.
PAIRS = ((OLD, None), (None, NEW), (OLD, NEW), (NEW, None), (None, OLD))


@pytest.mark.parametrize(
    ("saver", "loader", "method"),
    [(*pair, method) for pair, method in itertools.product(PAIRS, [Method.EXEC, Method.LOADVM])],
)
async def test_one_qemu_saves_and_another_loads(
    tmp_path: Path, accel: Accel, best_accel: Accel, saver: str | None, loader: str | None,
    method: Method,
) -> None:  # fmt: skip
    if TRIALS < MANY and (accel is not best_accel or (method is Method.LOADVM and saver != OLD)):
        not_applicable(f"tried by exec under {best_accel}; here with LOSTTICK_TEST_TRIALS={MANY}")
    cell = await by_two_qemus(tmp_path, accel, saver, loader, method)
    if (saver, loader) in ((NEW, None), (None, OLD)):
        assert cell.verdict is Verdict.SKIPPED
        assert "has no machine type pc-i440fx-" in cell.why
        return
    assert_clean(cell, TRIALS)
    records = journal_dicts(tmp_path / "journal.jsonl")
    (noted,) = [record for record in records if record["record"] == "loader"]
    argvs = [noted["argv"], *(r["argv"] for r in records if r["record"] == "instance")]
    assert len({argv[argv.index("-machine") + 1] for argv in argvs}) == 1
    assert len({argv[0] for argv in argvs}) == 2
    (counted,) = [record for record in records if record["record"] == "host" and record["cell"]]
    assert (
        counted["loader"]["path"] == noted["argv"][0] or counted["loader"]["path"] in noted["argv"]
    )


async def by_two_qemus(
    out: Path, accel: Accel, saver: str | None, loader: str | None, method: Method
) -> CellResult:
    data = {
        "axes": {"accel": accel, "loader": "other", "method": method, "period_ms": PERIOD_MS},
        "limits": {"trials": TRIALS, "rule_out": min(0.99, 3 / TRIALS)},
    }
    async with host_with_qemu(saver) as one, host_with_qemu(loader) as other:

        def qemus(name: str) -> OpenHost:
            return lambda: contextlib.nullcontext(other if name == "other" else one)

        result = await run_plan(one, build_plan(data, "test"), accel, out, qemus=qemus)
    print(result.cells[0].cell.id, dict(result.cells[0].counts.outcomes), result.cells[0].why)
    return result.cells[0]


@pytest.mark.parametrize(("suite", "machine"), [(None, "pc-i440fx-2.12"), (NEW, "pc-i440fx-5.2")])
async def test_the_android_plan_has_a_machine_everywhere(
    best_accel: Accel, suite: str | None, machine: str
) -> None:
    """QEMU 11.1 has dropped pc-i440fx-2.12."""
    cells = load_plan("android", {}).cells(best_accel)
    async with host_with_qemu(suite) as host:
        if suite is None and machine not in host.facts.need_qemu().machines:
            not_applicable(f"this QEMU has no {machine}")
        assert {machine_on(host, cell.machine) for cell in cells} == {machine}
        found = [
            each async for each in preview(cells, lambda _: lambda: contextlib.nullcontext(host))
        ]
    assert [each.why_not for each in found] == [None] * len(cells)
    assert {(cell.method, cell.resume) for cell in cells} == {
        (Method.HMP, Resume.CONT), (Method.LOADVM, Resume.CONT), (Method.LOADVM, Resume.AUTO),
    }  # fmt: skip
