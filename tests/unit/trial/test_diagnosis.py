"""The cause that follows from the evidence of a silent vCPU."""

from dataclasses import replace
from typing import Any

import pytest

from orchestrator.findings.cause import Cause, Diagnosis
from orchestrator.findings.evidence import Evidence, VcpuEvidence
from orchestrator.findings.outcome import Outcome, VcpuResult
from orchestrator.findings.save import Save, VcpuSave
from orchestrator.guest import lines
from orchestrator.guest.config import GuestConfig
from orchestrator.guest.lapic import Lapic, Registers
from orchestrator.guest.state import GuestState, Stage
from orchestrator.trial.diagnosis import correct, diagnose
from orchestrator.vm.config import Accel, InstanceConfig

CONFIG = InstanceConfig(Accel.KVM, GuestConfig(period_ns=20_000_000))
TMICT = 20_000_000

SAVED = VcpuSave(
    vcpu=0, phase=0.5, progress=500, progress_per_period=1000.0, ticks=7, arms=8, lvtt=0x40,
    tmict=TMICT, irr=(), isr=(), interrupt_flag=True, printing=False, stage=Stage.TICKING,
)  # fmt: skip

SILENT = GuestState(False, 7, 8, 6500, 7, Stage.TICKING, 0)

EXPIRED = lines.Testimony(
    number=1, lvtt=0x40, tmict=TMICT, tmcct=0, irr=0, isr=0, ppr=0, tpr=0, deadline=0,
    progress=10_000, ticks=7, arms=8, flags=0x246, cs=0xF000, ip=0x34,
)  # fmt: skip

TESTIMONIES = [EXPIRED, replace(EXPIRED, number=2, progress=12_000)]

#: The kernel accepted the tick vector during the load, and never again.
VANISHED = (
    "q-1 [001] d..1. 1.000000: tracing_mark_write: losttick: load\n"
    "q-1 [001] d..1. 1.000010: kvm_apic_accept_irq: apicid 0 vec 64 (Fixed|edge)\n"
    "q-1 [001] d..1. 1.000020: tracing_mark_write: losttick: cont\n"
)


def diagnosis(
    *,
    save: VcpuSave = SAVED,
    state: GuestState = SILENT,
    lapic: Lapic | None = None,
    registers: Registers | None = None,
    testimonies: list[lines.Testimony] | None = None,
    progress: int = 2000,
    trace: str | None = None,
) -> Diagnosis:
    """Return the diagnosis of a lost interrupt, with something different about it."""
    part = VcpuEvidence(
        0,
        advanced_ns=40_000_000,
        memory=[state, replace(state, progress=state.progress + progress)],
        lapic=lapic or Lapic(0x40, TMICT, frozenset(), frozenset()),
        registers=registers,
        testimonies=TESTIMONIES if testimonies is None else testimonies,
        rescued=True,
    )
    evidence = Evidence(run_state="running", trace=trace, vcpus=(part,))
    result = VcpuResult(Outcome.LOST, why="no tick in 200 ms of vCPU time")
    return diagnose(result, evidence, Save("save1", 0.5, (save,)), CONFIG)


SHOWN = Lapic(0x40, TMICT, frozenset(), frozenset())


def cured(part: VcpuEvidence) -> Diagnosis:
    """Return the diagnosis of a vCPU that ticked again at a look."""
    evidence = Evidence(run_state="running", vcpus=(part,))
    result = VcpuResult(Outcome.LOST, why="no tick in 200 ms of vCPU time")
    save = Save("save1", 0.5, (replace(SAVED, divide=1),))
    return diagnose(result, evidence, save, CONFIG)


def test_a_guest_that_answers_no_nmi_has_interrupts_off_if_qemu_says_so() -> None:
    part = VcpuEvidence(0, advanced_ns=40_000_000, registers=Registers(0x7C34, 0x46, False))
    evidence = Evidence(run_state="running", vcpus=(part,))
    result = VcpuResult(Outcome.LOST, why="no tick in 200 ms of vCPU time")
    found = diagnose(result, evidence, Save("save1", 0.5, (SAVED,)), CONFIG)
    assert found.cause is Cause.NOT_DELIVERABLE
    assert "at 0x7c34 with interrupts off" in found.sentence
    part.registers = Registers(0x7C34, 0x246, False)
    found = diagnose(result, evidence, Save("save1", 0.5, (SAVED,)), CONFIG)
    assert found.cause is Cause.UNEXPLAINED


@pytest.mark.parametrize("outcome", [Outcome.LOST, Outcome.UNKNOWN])
def test_a_guest_whose_counters_are_gone_from_its_memory_has_crashed(outcome: Outcome) -> None:
    """Its vCPU may halt in what it runs then, and use no CPU time any more."""
    part = VcpuEvidence(0, advanced_ns=0, slept=True, overwritten="no tick guest at 0x1000")
    evidence = Evidence(run_state="running", vcpus=(part,))
    result = VcpuResult(outcome, why="no tick")
    found = diagnose(result, evidence, Save("save1", 0.5, (SAVED,)), CONFIG)
    assert found.cause is Cause.GUEST_CRASHED
    assert "no tick guest at 0x1000" in found.sentence
    assert correct(result, found).outcome is Outcome.CRASHED


@pytest.mark.parametrize(
    ("flags", "shown", "cause"),
    [
        ((0x246, 0x6), 0x6, Cause.LOST_INTERRUPT),
        ((0x6, 0x246), 0x6, Cause.LOST_INTERRUPT),
        ((0x6, 0x6), 0x246, Cause.LOST_INTERRUPT),
        ((0x6, 0x6), 0x6, Cause.NOT_DELIVERABLE),
    ],
)
def test_interrupts_that_are_off_for_a_moment_lose_no_tick(
    flags: tuple[int, int], shown: int, cause: Cause
) -> None:
    """The guest accounts for time that it did not run, such as a look takes."""
    said = [replace(each, flags=one) for each, one in zip(TESTIMONIES, flags, strict=True)]
    registers = Registers(0x7C34, shown, False)
    assert diagnosis(testimonies=said, registers=registers).cause is cause


def test_a_lost_interrupt() -> None:
    found = diagnosis()
    assert found.cause is Cause.LOST_INTERRUPT
    assert "expired or was never started" in found.sentence
    found = diagnosis(trace=VANISHED)
    assert "timer expired, and its interrupt never reached the guest" in found.sentence


@pytest.mark.parametrize(
    ("irr", "registers", "words"),
    [
        ({0x40}, Registers(0x1F2, 0x246, True),
         " `info lapic` shows the tick (0x40) in the IRR, and `info registers` a vCPU with HLT=1, "
         "interrupts on."),
        ({0x40}, Registers(0x1F2, 0x46, False),
         " `info lapic` shows the tick (0x40) in the IRR, and `info registers` a vCPU with HLT=0, "
         "interrupts off."),
        ({0x40}, None, " `info lapic` shows the tick (0x40) in the IRR."),
        ({0x41}, Registers(0x1F2, 0x246, True), "`info lapic` did not show the tick"),
        (None, None, "nobody had read the IRR to see the tick"),
    ],
)  # fmt: skip
def test_a_tick_that_a_look_brought_back(
    irr: set[int] | None, registers: Registers | None, words: str
) -> None:
    """What QEMU showed before it says whether KVM kept the tick from a vCPU that could take it."""
    lapic = None if irr is None else Lapic(0x40, TMICT, frozenset(irr), frozenset())
    found = cured(VcpuEvidence(0, lapic=lapic, registers=registers, cured_by="NMI 1"))
    if irr != {0x40}:
        assert found.cause is Cause.CAME_BACK
        assert words in found.sentence
        return
    assert found.cause is Cause.PENDING
    assert found.sentence.endswith(f"was pending and had not been delivered.{words}")


def test_a_tick_that_waited_for_a_sleeper_with_interrupts_off() -> None:
    """It was pending and could not be delivered: no fault of its delivery."""
    lapic = Lapic(0x40, TMICT, frozenset({0x40}), frozenset())
    part = VcpuEvidence(0, lapic=lapic, registers=Registers(0x1F2, 0x46, True), cured_by="NMI 1")
    found = cured(part)
    assert found.cause is Cause.NOT_DELIVERABLE
    assert "the vCPU was halted with interrupts off" in found.sentence


def test_a_tick_that_only_the_guest_saw_pending() -> None:
    said = replace(EXPIRED, irr=1)
    part = VcpuEvidence(0, testimonies=[said], lapic=SHOWN, cured_by="NMI 1")
    found = cured(part)
    assert found.cause is Cause.PENDING
    assert found.sentence.endswith("The guest itself read the tick (0x40) in the IRR.")


@pytest.mark.parametrize("read", ["lapic", "cured_lapic"])
def test_a_tick_of_a_timer_with_another_divisor(read: str) -> None:
    shown: dict[str, Any] = {read: replace(SHOWN, divide=16)}
    found = cured(VcpuEvidence(0, cured_by="query-stats", **shown))
    assert found.cause is Cause.NOT_RESTORED
    assert "divided by 16, and was by 1 in the save" in found.sentence


@pytest.mark.parametrize(
    ("saved", "shown", "cause"),
    [
        (1, SHOWN, Cause.LOST_INTERRUPT),
        (1, replace(SHOWN, divide=32), Cause.NOT_RESTORED),
        (0, replace(SHOWN, divide=32), Cause.LOST_INTERRUPT),  # an old save does not say it
        (1, replace(SHOWN, divide=32, lvtt=0x40040), Cause.LOST_INTERRUPT),  # a deadline
    ],
)
def test_the_divisor_of_a_silent_timer(saved: int, shown: Lapic, cause: Cause) -> None:
    assert diagnosis(save=replace(SAVED, divide=saved), lapic=shown).cause is cause


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("swallowed", "the vector of its built-in control"),
        ("strays", "vectors that it never uses"),
        ("spurious", "vectors of spurious interrupts"),
    ],
)
def test_an_interrupt_on_another_vector(field: str, words: str) -> None:

    def grown(to: int) -> GuestState:
        change: dict[str, Any] = {field: to}
        return replace(SILENT, **change)

    found = diagnosis(state=grown(3))
    assert found.cause is Cause.WRONG_VECTOR
    assert f"it took 3 interrupt(s) on {words}" in found.sentence
    # Only what came since the save counts.
    saved: dict[str, Any] = {field: 3}
    before = replace(SAVED, **saved)
    assert diagnosis(save=before, state=grown(3)).cause is Cause.LOST_INTERRUPT
    assert diagnosis(save=before, state=grown(4)).cause is Cause.WRONG_VECTOR


@pytest.mark.parametrize(
    ("saved", "now", "cause", "words"),
    [
        (0, 1, Cause.LOST_INTERRUPT, "timer expired, and its"),
        (1, 1, Cause.LOST_INTERRUPT, "timer expired, and its"),  # saved late in the window
        (0, 0, Cause.LOST_INTERRUPT, "expired or was never started"),  # the host lost it, too
        (0, 2, Cause.WRONG_VECTOR, "it took 1 interrupt(s)"),
        (1, 2, Cause.LOST_INTERRUPT, "timer expired, and its"),  # it fired again at the load
        (1, 3, Cause.WRONG_VECTOR, "it took 1 interrupt(s)"),
    ],
)
def test_a_control_swallows_one_interrupt(saved: int, now: int, cause: Cause, words: str) -> None:
    """The trace shows the control's own vector, and is not asked."""
    save = replace(SAVED, stage=Stage.CONTROL_WINDOW, swallowed=saved)
    state = replace(SILENT, stage=Stage.CONTROL_SILENT, swallowed=now)
    found = diagnosis(save=save, state=state, trace=VANISHED)
    assert found.cause is cause
    assert words in found.sentence
    assert "trace" not in found.sentence


def test_a_lapic_that_was_not_restored() -> None:
    reset = Lapic(0x10000, 0, frozenset(), frozenset(), enabled=False)
    found = diagnosis(lapic=reset, testimonies=[])
    assert found.cause is Cause.NOT_RESTORED
    assert "KVM_SET_LAPIC had no effect" in found.sentence


def test_a_lapic_that_is_switched_off_with_its_timer_restored() -> None:
    off = Lapic(SAVED.lvtt, SAVED.tmict, frozenset(), frozenset(), enabled=False)
    found = diagnosis(lapic=off, testimonies=[])
    assert found.cause is Cause.NOT_RESTORED
    assert "SVR has switched it off" in found.sentence
    assert "no effect" not in found.sentence


@pytest.mark.parametrize("state", ["running", "shutdown"])
def test_a_guest_that_an_interrupt_crashed_which_its_lapic_would_have_masked(state: str) -> None:
    """Seen in a lab: after its reset the LAPIC hands on what the PIC brings, on vector 0."""
    crashed = VcpuResult(Outcome.CRASHED, why="the guest took exception 0 at f000:0085")
    reset = Lapic(0x10000, 0, frozenset(), frozenset(), enabled=False)
    part = VcpuEvidence(0, memory=[SILENT, SILENT], lapic=reset)
    evidence = Evidence(run_state=state, vcpus=(part,))
    found = diagnose(crashed, evidence, Save("save1", 0.5, (SAVED,)), CONFIG)
    if state == "shutdown":  # QEMU may have reset the machine
        assert found.cause is Cause.GUEST_CRASHED
        return
    assert found.cause is Cause.NOT_RESTORED
    assert "took exception 0 at f000:0085; `info lapic` shows a LAPIC that is" in found.sentence
    part.lapic = replace(reset, enabled=True)
    found = diagnose(crashed, evidence, Save("save1", 0.5, (SAVED,)), CONFIG)
    assert found.cause is Cause.GUEST_CRASHED


def test_an_interrupt_on_a_vector_of_exceptions_is_no_crash() -> None:
    crashed = VcpuResult(Outcome.CRASHED, why="the guest took exception 17 at f000:0085")
    part = VcpuEvidence(0, memory=[SILENT, SILENT], lapic=replace(SHOWN, isr=frozenset({0x11})))
    evidence = Evidence(run_state="running", vcpus=(part,))
    found = diagnose(crashed, evidence, Save("save1", 0.5, (SAVED,)), CONFIG)
    assert found.cause is Cause.WRONG_VECTOR
    assert "exception 17 at f000:0085; the LAPIC has vector 0x11 in service" in found.sentence


@pytest.mark.parametrize(
    ("progress", "printing", "cause"),
    [
        (0, False, Cause.NOT_EXECUTING),
        (0, True, Cause.UNEXPLAINED),  # it waits for its console
        (100, False, Cause.UNEXPLAINED),
    ],
)
def test_a_guest_that_stands_still(progress: int, printing: bool, cause: Cause) -> None:
    state = replace(SILENT, printing=printing)
    assert diagnosis(state=state, progress=progress, testimonies=[]).cause is cause


@pytest.mark.parametrize(
    ("slept", "halted", "cause", "outcome"),
    [
        (True, False, Cause.NOT_EXECUTING, Outcome.LOST),
        (True, True, Cause.HALTED, Outcome.LOST),
        (False, True, Cause.HALTED, Outcome.LOST),  # the host does not count run delays
        (False, False, Cause.VCPU_NOT_RUNNING, Outcome.UNKNOWN),  # it waited for a CPU
    ],
)
def test_a_busy_guest_whose_vcpu_sleeps(
    slept: bool, halted: bool, cause: Cause, outcome: Outcome
) -> None:
    assert asleep(slept=slept, halted=halted) == (cause, outcome)


def test_a_guest_that_halted_itself() -> None:
    given_up = replace(SILENT, stage=Stage.HALTED)
    assert asleep(given_up, halted=True) == (Cause.VCPU_NOT_RUNNING, Outcome.UNKNOWN)


def asleep(
    state: GuestState = SILENT, *, slept: bool = True, halted: bool
) -> tuple[Cause, Outcome]:
    """Return the cause and the outcome for a vCPU that used no CPU time."""
    part = VcpuEvidence(
        0, advanced_ns=0, slept=slept, memory=[state, state],
        lapic=Lapic(0x40, TMICT, frozenset(), frozenset()),
        registers=Registers(0x34, 0x246, halted),
    )  # fmt: skip
    evidence = Evidence(run_state="running", vcpus=(part,))
    result = VcpuResult(Outcome.UNKNOWN, why="the vCPU ran for only 0 ms")
    found = diagnose(result, evidence, Save("save1", 0.5, (SAVED,)), CONFIG)
    return found.cause, correct(result, found).outcome


def test_a_guest_that_testifies_executes() -> None:
    assert diagnosis(progress=0).cause is Cause.LOST_INTERRUPT


@pytest.mark.parametrize(("divide", "cause"), [(32, Cause.NOT_RESTORED), (1, Cause.PENDING)])
def test_the_tick_of_a_slower_timer_comes_in_the_end(divide: int, cause: Cause) -> None:
    """The guest may meet it in its IRR, on its way to the handler."""
    said = [TESTIMONIES[0], replace(TESTIMONIES[1], irr=1)]
    shown = replace(SHOWN, divide=divide)
    found = diagnosis(save=replace(SAVED, divide=1), lapic=shown, testimonies=said)
    assert found.cause is cause
