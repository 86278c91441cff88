"""Faults of a host, made in a real KVM: each gets its own verdict, outcome and cause.

The usual run makes one short campaign of each fault. `LOSTTICK_TEST_FAULTS=10` makes ten of
each on a host that is otherwise idle, and ten beside two busy loops; `tox -e long` does.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from orchestrator.campaign.run import run_plan
from orchestrator.findings.cause import Cause
from orchestrator.findings.outcome import Outcome
from orchestrator.host import tracefs
from orchestrator.host.local import open_host
from orchestrator.plan.load import build_plan
from orchestrator.verdict.run import CellResult
from orchestrator.verdict.verdict import Verdict
from orchestrator.vm.config import Accel
from tests.support.needs import not_applicable
from tests.support.rounds import busy_loops
from tests.support.shim import shim_environment

#: The answer must be right on a busy host, too.
pytestmark = pytest.mark.usefixtures("unpaused")

#: Campaigns of each fault, if all of them are to be made.
CAMPAIGNS = int(os.environ.get("LOSTTICK_TEST_FAULTS", "0"))

#: Loads that show a fault for which one load is enough.
FEW = 3 if CAMPAIGNS else 1

#: Loads that show a fault of timing without a sham: ticks that come early or besides, or a
#: wrong clock.
SEVERAL = 16 if CAMPAIGNS else 4

#: Loads that show a fault of timing, of which a busy host hides a part: each load beside a sham
#: without a load, or ticks at a wrong rate.
MANY = 16 if CAMPAIGNS else 8

BUSY_LOOPS = 2

#: Loads that show such a fault beside busy loops. The loops take the CPU away from the vCPU for
#: about a period at a time, and so hide most wrong ticks. A late tick is weighed against shams,
#: which needs as many loads as a run has by default.
SEVERAL_BESIDE_LOOPS, MANY_BESIDE_LOOPS = 64, 299


@dataclass(frozen=True)
class Fault:
    """A fault, and the answer to it."""

    name: str
    shim: str
    """Behaviours of the shim."""
    verdict: Verdict
    outcome: Outcome | None
    """The only outcome of its loads beside ordinary ticks and `weaker` ones. One load has it."""
    cause: Cause | None = None
    """The only cause, if its loads fall silent."""
    axes: Mapping[str, object] = field(default_factory=dict)
    vcpu: int | None = None
    """The only vCPU with the fault."""
    weaker: frozenset[Outcome] = frozenset()
    """Outcomes by which a load shows less of the fault, because its vCPU had to wait for a CPU."""
    loads: int = FEW
    thorough: bool = False
    """Whether the usual run leaves the fault out, because another is like it."""


def lost(name: str, shim: str, cause: Cause, verdict: Verdict = Verdict.ANOMALOUS,
         **more: object) -> Fault:  # fmt: skip
    return Fault(name, shim, verdict, Outcome.LOST, cause, **more)  # type: ignore[arg-type]  # fields


def odd(name: str, shim: str, outcome: Outcome, **more: object) -> Fault:
    """A fault that lets ticks go on."""
    loads = MANY if outcome in (Outcome.LATE, Outcome.MISSED, Outcome.RATE) else SEVERAL
    return Fault(name, shim, Verdict.ANOMALOUS, outcome, loads=loads, **more)  # type: ignore[arg-type]


def astray(name: str, shim: str, **more: object) -> Fault:
    """An interrupt on another vector, which no tick shows."""
    return Fault(name, shim, Verdict.ANOMALOUS, Outcome.EXTRA, Cause.WRONG_VECTOR, **more)  # type: ignore[arg-type]


def harmless(name: str, shim: str, **more: object) -> Fault:
    """No fault of KVM: the guest's own running time shows nothing."""
    return Fault(name, shim, Verdict.CLEAN, None, **more)  # type: ignore[arg-type]


#: The ticks of a period that is too short, and of one that is too long.
TOO_SOON = frozenset({Outcome.EARLY, Outcome.EXTRA})
TOO_LATE = frozenset({Outcome.LATE, Outcome.MISSED})

PERIODIC, DEADLINE = {"mode": "periodic"}, {"mode": "tsc-deadline"}
ANEW = {"method": "loadvm"}
NOT_RESTORED, LOST_INTERRUPT = Cause.NOT_RESTORED, Cause.LOST_INTERRUPT
WRONG_VECTOR, NOT_DELIVERABLE = Cause.WRONG_VECTOR, Cause.NOT_DELIVERABLE

FAULTS = [
    # The timer is not restored, or not as it was.
    lost("the initial count is forgotten", "forget", NOT_RESTORED),
    lost("LVTT is masked", "mask", NOT_DELIVERABLE),
    lost("a periodic timer becomes one-shot", "mode", NOT_RESTORED, axes=PERIODIC),
    lost("the tick becomes an NMI", "delivery:4", NOT_RESTORED),
    lost("the tick becomes an SMI", "delivery:2", NOT_RESTORED, thorough=True),
    lost("the LAPIC is switched off", "svr:255", NOT_RESTORED),
    lost("the timer's clock is divided by 32", "divide:8", NOT_RESTORED),
    lost("the timer's clock is divided by 16", "divide:3", NOT_RESTORED, thorough=True),
    lost("the LAPIC is in x2APIC mode", "base:1024", NOT_RESTORED),
    lost("TPR stays raised", "tpr:255", NOT_DELIVERABLE),
    lost("a higher vector stays in service", "isr:80", Cause.IN_SERVICE),
    lost("the deadline is forgotten", "deadline", Cause.DEADLINE_GONE, axes=DEADLINE),
    lost("KVM_SET_LAPIC does nothing", "ignore", NOT_RESTORED),
    lost("KVM_SET_LAPIC does nothing in a new QEMU", "ignore", NOT_RESTORED, axes=ANEW),
    lost("interrupts stay off", "flags:512", NOT_DELIVERABLE),
    lost("interrupts and NMIs stay off", "flags:512,block", NOT_DELIVERABLE),
    lost(
        "interrupts stay off in a guest that sleeps",
        "flags:512",
        NOT_DELIVERABLE,
        axes={"wait": "halt"},
        thorough=True,
    ),
    lost(
        "TPR stays raised in a guest that sleeps, and its timer wakes it at each period",
        "tpr:255",
        NOT_DELIVERABLE,
        axes={"wait": "halt", **PERIODIC},
        thorough=True,
    ),
    Fault("QEMU crashes", "segv", Verdict.ANOMALOUS, Outcome.CRASHED, Cause.QEMU_CRASHED),
    Fault("KVM_SET_LAPIC fails", "refuse", Verdict.ANOMALOUS, Outcome.CRASHED, Cause.QEMU_CRASHED),
    Fault("KVM_RUN fails", "unrunnable", Verdict.ANOMALOUS, Outcome.CRASHED, Cause.GUEST_CRASHED),
    # The timer is restored as it was, and its tick does not reach the tick handler.
    lost("the timer is never started", "unstarted", LOST_INTERRUPT, Verdict.AFFECTED),
    lost("the tick comes on the guest's other vector", "elsewhere:65", WRONG_VECTOR),
    lost("the tick comes on a vector below", "elsewhere:48", WRONG_VECTOR, thorough=True),
    lost("the tick comes on a vector above", "elsewhere:80", WRONG_VECTOR, thorough=True),
    lost("another vector stays in the IRR", "tpr:48,irr:49,unstarted", WRONG_VECTOR),
    lost("LVTT has the guest's other vector", "vector:65", WRONG_VECTOR, thorough=True),
    lost("LVTT has a stray vector", "vector:48", WRONG_VECTOR),
    lost("LVTT has the spurious vector", "vector:255", WRONG_VECTOR, thorough=True),
    lost("the vCPU stays halted", "state:3", Cause.HALTED),
    lost("the vCPU waits for INIT", "state:1", Cause.NOT_EXECUTING),
    # The guest freezes later.
    lost("the first re-arm starts no timer", "freeze:1", LOST_INTERRUPT),
    lost("the third re-arm starts no timer", "freeze:3", LOST_INTERRUPT, thorough=True),
    Fault(
        "the guest's counters are overwritten",
        "overwrite:4096",
        Verdict.ANOMALOUS,
        Outcome.CRASHED,
        Cause.GUEST_CRASHED,
    ),
    # Ticks go on.
    odd("the first tick is late by 1.4 periods", "first:1.4", Outcome.LATE),
    odd("the first tick is late by 1.6 periods", "first:1.6", Outcome.LATE, thorough=True),
    odd("the first tick is early", "first:0.25", Outcome.EARLY),
    odd(
        "the first tick misses two periods",
        "first:3",
        Outcome.MISSED,
        weaker=frozenset({Outcome.LATE}),
    ),
    odd("the second tick is late", "second:1.4", Outcome.LATE, thorough=True),
    odd("the second tick comes too soon", "second:0.4", Outcome.EXTRA),
    odd("a tick besides", "spurious:0.3", Outcome.EXTRA),
    odd("a storm of ticks", "storm:0.12", Outcome.EXTRA),
    astray("an NMI comes", "nmi"),
    astray("an interrupt besides on the guest's other vector", "besides:65"),
    astray("an interrupt besides on a stray vector", "besides:80", thorough=True),
    Fault("a storm with hardly time to print", "storm:0.002", Verdict.ANOMALOUS, Outcome.EXTRA),
    odd("half the period", "scale:0.5", Outcome.RATE, weaker=TOO_SOON, axes=PERIODIC),
    odd(
        "twice the period",
        "scale:2",
        Outcome.RATE,
        weaker=TOO_LATE,
        axes=PERIODIC,
        thorough=True,
    ),
    odd(
        "the divide register of the timer is lost",
        "divide:0",
        Outcome.RATE,
        weaker=TOO_LATE,  # the timer's clock is divided by 2 then
        axes=PERIODIC,
    ),
    odd(
        "a one-shot timer becomes periodic, which its guest arms at each tick",
        "mode",
        Outcome.RATE,
        axes={"cycle": "chain"},
    ),
    # Nothing shows them but a look at the LAPIC after the loads.
    Fault(
        "a one-shot timer becomes periodic in a guest that is saved once",
        "mode",
        Verdict.ANOMALOUS,
        Outcome.RATE,
        axes={"cycle": "fresh"},
        loads=SEVERAL,
    ),
    Fault("TPR stays raised below the tick", "tpr:48", Verdict.ANOMALOUS, Outcome.EXTRA),
    odd("kvmclock jumps ahead", "kvmclock:5", Outcome.CLOCK),
    odd("kvmclock jumps back", "kvmclock:-0.05", Outcome.CLOCK),
    odd("the TSC jumps ahead", "tsc:5", Outcome.CLOCK),
    odd("the TSC jumps back", "tsc:-5", Outcome.CLOCK, thorough=True),
    odd(
        "the TSC of one vCPU jumps",
        "tsc:10",
        Outcome.CLOCK,
        axes={"vcpus": 2},
        vcpu=1,
    ),
    # Harmless.
    harmless("none", "stall:0"),
    harmless("the vCPU waits before it runs", "stall:2"),
    harmless("the vCPU waits while a periodic timer ticks", "stall:2", axes=PERIODIC),
    harmless("the load is slow", "slow:100"),
]


async def campaign_of(fault: Fault, shim: Path, place: Path, kvm: Accel, seed: int) -> CellResult:
    """Run a short campaign on a host with the fault, which is taken for one with APICv."""
    if fault.shim.startswith("tsc:") and Path("/sys/module/kvm_pvm").exists():
        not_applicable("kvm_pvm gives every guest the host's TSC: KVM_SET_MSRS can't shift it")
    place.mkdir()
    chosen = {} if fault.vcpu is None else {"vcpu": fault.vcpu}
    environment = shim_environment(shim, place / "shim.log", fault.shim, seed=seed, **chosen)
    plan = build_plan(
        {
            "axes": {"accel": kvm, "period_ms": 20, **fault.axes},
            "limits": {"trials": fault.loads, "rule_out": min(0.99, 3 / (fault.loads + 1))},
            "controls": 2 if fault.verdict is Verdict.CLEAN else 0,
            "seed": seed,
        },
        "faults",
    )
    async with open_host(environment=environment) as host:
        host.facts = replace(host.facts, kvm_modules={"kvm_intel": {"enable_apicv": "Y"}})
        (cell,) = (await run_plan(host, plan, kvm, place)).cells
    print(fault.name, cell.verdict, dict(cell.counts.outcomes), dict(cell.counts.causes))
    print(cell.why)
    return cell


def beside_loops(fault: Fault) -> Fault:
    """Return a fault with the loads that show it beside busy loops."""
    if fault.loads == FEW:
        return fault
    late = fault.outcome in (Outcome.LATE, Outcome.MISSED)
    return replace(fault, loads=MANY_BESIDE_LOOPS if late else SEVERAL_BESIDE_LOOPS)


def answer(fault: Fault, cell: CellResult) -> tuple[Verdict, set[Outcome], set[Cause]]:
    """Return the verdict, the outcomes other than ordinary ticks, and the causes."""
    outcomes = {kind for kind, number in cell.counts.outcomes.items() if number}
    causes = {cause for cause, number in cell.counts.causes.items() if number}
    causes.discard(Cause.STORM)  # whether a storm leaves time to print depends on the host
    return cell.verdict, {kind for kind in outcomes - fault.weaker if not kind.ticked}, causes


def right(fault: Fault) -> tuple[Verdict, set[Outcome], set[Cause]]:
    outcomes = {fault.outcome} if fault.outcome else set()
    return fault.verdict, outcomes, {fault.cause} if fault.cause else set()


def param(fault: Fault) -> object:
    marks = [pytest.mark.thorough] if fault.thorough else []
    if fault.outcome not in (Outcome.LOST, Outcome.CRASHED):
        marks.append(pytest.mark.alone)  # beside a neighbour, a wrong tick can come out indistinct
    return pytest.param(fault, id=fault.name.replace(" ", "-"), marks=marks)


@pytest.fixture
def untraced(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for most users, the kernel's trace can't be read."""
    monkeypatch.setattr(tracefs, "find", lambda: None)


@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize("fault", [param(fault) for fault in FAULTS])
async def test_each_fault_gets_its_own_answer(
    fault: Fault, shim: Path, tmp_path: Path, kvm: Accel
) -> None:
    cell = await campaign_of(fault, shim, tmp_path / "out", kvm, seed=3)
    assert answer(fault, cell) == right(fault), cell.why


@pytest.mark.alone
@pytest.mark.usefixtures("tracing")
async def test_the_trace_shows_that_a_timer_was_never_started(
    shim: Path, tmp_path: Path, kvm: Accel
) -> None:
    fault = lost("the timer is never started, by the trace", "unstarted", Cause.NOT_STARTED)
    cell = await campaign_of(fault, shim, tmp_path / "out", kvm, seed=3)
    assert answer(fault, cell) == right(fault), cell.why


@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize(
    "axes",
    [
        pytest.param({"mode": mode, "resume": resume, "period_ms": period_ms}, marks=marks)
        # A deadline that passed before the save shows nothing: a long period leaves it time.
        for mode, period_ms in (("one-shot", 20), ("periodic", 20), ("tsc-deadline", 100))
        for resume in ("cont", "auto")
        for marks in [[] if (mode, resume) == ("one-shot", "cont") else [pytest.mark.thorough]]
    ]
    + [
        pytest.param({"wait": "halt"}, marks=pytest.mark.thorough),
        pytest.param({"period_ms": 5}, marks=pytest.mark.thorough),
        pytest.param({"method": "jobs"}, marks=pytest.mark.thorough),
    ],
    ids=lambda axes: "-".join(map(str, axes.values())),
)
async def test_a_control_shows_that_loads_leave_the_running_timer_alone(
    axes: Mapping[str, object], shim: Path, tmp_path: Path, kvm: Accel
) -> None:
    """The timer of the running guest is like the saved one, and most ticks look alike."""
    fault = harmless("no KVM_SET_LAPIC does anything", "keep", axes=axes)
    cell = await campaign_of(fault, shim, tmp_path / "out", kvm, seed=3)
    assert cell.verdict in (Verdict.INCONCLUSIVE, Verdict.ANOMALOUS), cell.why
    controls = cell.counts.controls
    assert [bool(control.unrestored) for control in controls] == [True] * 2, controls
    if cell.verdict is Verdict.INCONCLUSIVE:
        assert "the load did not restore the timer" in cell.why


@pytest.mark.thorough
@pytest.mark.usefixtures("untraced")
async def test_a_first_tick_that_comes_after_half_a_period_whatever_was_left(
    shim: Path, tmp_path: Path, kvm: Accel
) -> None:
    """Of each load it could be the remaining time, as saves are taken about there."""
    fault = Fault(
        "the first tick comes after half a period", "first:0.5", Verdict.ANOMALOUS, None,
        axes={"period_ms": 50, "loads_per_save": 2}, loads=24, weaker=frozenset({Outcome.EARLY}),
    )  # fmt: skip
    cell = await campaign_of(fault, shim, tmp_path / "out", kvm, seed=3)
    assert answer(fault, cell) == right(fault), cell.why
    assert "whatever the saves had left of it" in cell.why or cell.counts.outcomes[Outcome.EARLY]


if CAMPAIGNS:  # hours

    @pytest.mark.timeout(1800)
    @pytest.mark.usefixtures("untraced")
    @pytest.mark.parametrize("loops", [0, BUSY_LOOPS], ids=["idle", "busy"])
    @pytest.mark.parametrize("fault", [param(fault) for fault in FAULTS])
    async def test_ten_campaigns_of_each_fault(
        fault: Fault, loops: int, shim: Path, tmp_path: Path, kvm: Accel
    ) -> None:
        wrong = []
        fault = beside_loops(fault) if loops else fault
        with busy_loops(loops):
            for number in range(CAMPAIGNS):
                cell = await campaign_of(fault, shim, tmp_path / str(number), kvm, seed=number)
                if answer(fault, cell) != right(fault):
                    wrong.append(f"campaign {number}: {answer(fault, cell)}: {cell.why}")
        assert not wrong, "\n".join(wrong)
