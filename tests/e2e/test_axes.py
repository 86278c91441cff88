"""Every further axis, with each of its values, with a real QEMU: nothing is lost.

The usual run tries each value with a few loads under the best accelerator, and one of a kind
under the other. `tox -e long` tries all with many:
`LOSTTICK_TEST_TRIALS=300 pytest -m "" tests/e2e/test_axes.py`.
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
from tests.support.method_loads import (
    CONTROLS,
    KINDS,
    MANY,
    NEW,
    OLD,
    PERIOD_MS,
    TRIALS,
    only_under,
    require,
)
from tests.support.needs import not_applicable
from tests.support.qemus import host_with_qemu

#: Longer than that of the methods: a load of 300 may wait 10 s, too.
pytestmark = pytest.mark.timeout(1800)


def other(axes: dict[str, Any]) -> Any:
    """A further combination of values that other combinations have, too."""
    return pytest.param(axes, marks=pytest.mark.thorough, id=named(axes))


def named(value: object) -> str:
    return "-".join(map(str, value.values())) if isinstance(value, dict) else str(value)


#: Axes of a virtual machine of one's own, each with a method that it concerns.
MACHINES: tuple[Any, ...] = (
    {"machine": "pc,hpet=off"},
    other({"machine": "q35,usb=off", "method": "exec"}),
    {"machine": "pc-i440fx-oldest"},
    other({"machine": "pc-i440fx-2.12-or-later", "method": "loadvm"}),
    {"cpu": "qemu64,hv-relaxed"},
    {"qemu_args": "-device virtio-rng-pci -rtc base=utc,clock=vm"},
    other({"qemu_args": "-device virtio-rng-pci", "method": "exec"}),
    {"vmstate": "second", "method": "hmp"},
    other({"vmstate": "second", "method": "jobs"}),
    {"vmstate": "second", "method": "jobs-hmp"},
    {"vmstate": "second", "method": "jobs-loadvm"},
    {"firmware": "pflash"},
    other({"firmware": "pflash", "method": "exec"}),
    other({"firmware": "pflash", "method": "loadvm", "vmstate": "second"}),
)

PAUSES: tuple[Any, ...] = (
    {"pause_before_load": "3 periods"},
    {"pause_before_cont": "3 periods"},
    # A periodic timer's control is a window of few periods, which a busy machine can miss.
    {
        "pause_before_load": "3 periods",
        "pause_before_cont": "3 periods",
        "mode": "periodic",
        "period_ms": 100,
    },
    other({"pause_before_cont": "3 periods", "mode": "tsc-deadline"}),
    {"pause_before_load": "3 periods", "resume": "auto"},
)

#: Behaviours of the guest: it halts, holds its LAPIC in a state, or ticks by another timer.
GUESTS: tuple[dict[str, Any], ...] = (
    {"wait": "halt"},
    {"wait": "halt", "mode": "periodic"},
    {"state": "pending"},
    {"state": "in-service"},
    {"state": "masked"},
    {"state": "tpr"},
    {"state": "pending", "mode": "periodic"},
    {"mode": "pit"},
    {"mode": "rtc", "period_ms": 31.25},
)
TWO_HALTING = {"wait": "halt", "vcpus": 2, "period_ms": 50}

#: One value of each kind, which the usual run tries under the other accelerator, too, and the
#: one that not every KVM can have.
BOTH = (PAUSES[1], {"wait": "halt"}, {"state": "pending"}, {"state": "in-service"}, {"mode": "pit"})

#: Methods that stand for all in the usual run: each kind, and the new QEMU that is told what to
#: load when it runs.
RUN_ON = (*KINDS, Method.INCOMING)

#: Pauses that last, with few loads whatever is asked for.
LASTING = [
    pytest.param("1 s", 1, id="1 s"),
    pytest.param("4 s", 3, marks=pytest.mark.thorough, id="4 s"),
]


@pytest.mark.parametrize(
    "method",
    [pytest.param(each, marks=() if each in RUN_ON else pytest.mark.thorough) for each in Method],
)
async def test_guests_that_run_on_by_themselves(
    host: LocalHost, facts: HostFacts, tmp_path: Path, accel: Accel, best_accel: Accel,
    method: Method,
) -> None:  # fmt: skip
    require(method, facts.qemu)
    if method is not Method.EXEC:
        only_under(best_accel, accel)
    cell = await campaign(
        host, tmp_path, accel, TRIALS, controls=CONTROLS, method=method, resume="auto",
        period_ms=PERIOD_MS,
    )  # fmt: skip
    assert_clean(cell, TRIALS, CONTROLS)
    argvs = [r["argv"] for r in journal_dicts(tmp_path / "journal.jsonl") if "argv" in r]
    assert not any("-S" in argv for argv in argvs)


@pytest.mark.alone
async def test_two_vcpus_run_on_by_themselves(
    host: LocalHost, tmp_path: Path, accel: Accel, best_accel: Accel
) -> None:
    only_under(best_accel, accel)
    cell = await campaign(
        host, tmp_path, accel, TRIALS, controls=CONTROLS, vcpus=2, resume="auto", period_ms=50
    )
    assert_clean(cell, TRIALS, CONTROLS)


@pytest.mark.parametrize("axes", [*PAUSES, *MACHINES], ids=named)
async def test_every_value(
    host: LocalHost, facts: HostFacts, tmp_path: Path, accel: Accel, best_accel: Accel,
    axes: dict[str, Any],
) -> None:  # fmt: skip
    require(Method(axes.get("method", "hmp")), facts.qemu)
    if axes not in BOTH:
        only_under(best_accel, accel)
    if accel is Accel.TCG and axes.get("mode") == "tsc-deadline":
        not_applicable("TCG has no TSC-deadline timer")
    cell = await campaign(
        host, tmp_path, accel, TRIALS, controls=CONTROLS, **{"period_ms": PERIOD_MS} | axes
    )
    assert_clean(cell, TRIALS, CONTROLS)


@pytest.mark.parametrize(
    "axes", [*GUESTS, pytest.param(TWO_HALTING, marks=pytest.mark.alone)], ids=named
)
async def test_what_the_guest_does(
    host: LocalHost, tmp_path: Path, accel: Accel, best_accel: Accel, axes: dict[str, Any]
) -> None:
    if axes not in BOTH:
        only_under(best_accel, accel)
    cell = await campaign(
        host, tmp_path, accel, TRIALS, controls=CONTROLS, **{"period_ms": PERIOD_MS} | axes
    )
    if "cannot be had here" in cell.why:
        not_applicable(cell.why)
    assert_clean(cell, TRIALS, CONTROLS)


@pytest.mark.parametrize(("pause", "loads"), LASTING)
async def test_a_long_pause(
    host: LocalHost, tmp_path: Path, best_accel: Accel, pause: str, loads: int
) -> None:
    both = {"pause_before_load": pause, "pause_before_cont": pause}
    cell = await campaign(
        host, tmp_path, best_accel, loads, controls=CONTROLS, period_ms=PERIOD_MS, **both
    )
    assert_clean(cell, loads, CONTROLS)


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
    only_under(best_accel, accel)
    if TRIALS < MANY and method is Method.LOADVM and (saver, loader) != PAIRS[0]:
        not_applicable(f"tried by exec; by loadvm with LOSTTICK_TEST_TRIALS={MANY}")
    cell = await by_two_qemus(tmp_path, accel, saver, loader, method)
    if (saver, loader) in ((NEW, None), (None, OLD)):
        assert cell.verdict is Verdict.SKIPPED
        assert "has no machine type pc-i440fx-" in cell.why
        return
    assert_clean(cell, TRIALS, CONTROLS)
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
        "controls": CONTROLS,
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
    cells = load_plan("android", {"axes": {"period_ms": PERIOD_MS}}).cells(best_accel)
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
