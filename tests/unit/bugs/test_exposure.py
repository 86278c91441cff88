import pytest

from orchestrator.bugs.exposure import ExposureState, Reason, exposure, read_apicv, refine
from orchestrator.guest.saved_state import SavedState
from orchestrator.guest.timer_mode import TimerMode
from orchestrator.testing import FACTS
from orchestrator.vm.config import Accel, IrqChip
from tests.support.exposures import EXPOSED, NOT_EXPOSED


def host_with(**modules: dict[str, str]) -> object:
    from dataclasses import replace

    return replace(FACTS, kvm_modules=modules)


@pytest.mark.parametrize(
    ("modules", "state"),
    [
        ({"kvm_intel": {"enable_apicv": "Y"}}, ExposureState.EXPOSED),
        ({"kvm_intel": {"enable_apicv": "1"}}, ExposureState.EXPOSED),
        ({"kvm_intel": {"enable_apicv": "N"}}, ExposureState.NOT_EXPOSED),
        ({"kvm_intel": {}}, ExposureState.UNKNOWN),
        ({"kvm_amd": {"avic": "Y"}}, ExposureState.NOT_EXPOSED),
        ({"kvm_pvm": {}}, ExposureState.NOT_EXPOSED),
        ({}, ExposureState.UNKNOWN),
    ],
)
def test_exposure(modules: dict[str, dict[str, str]], state: ExposureState) -> None:
    facts = host_with(**modules)
    assert exposure(facts, Accel.KVM, TimerMode.ONE_SHOT).state is state  # type: ignore[arg-type]
    if state is ExposureState.EXPOSED:
        for mode in (TimerMode.PERIODIC, TimerMode.TSC_DEADLINE):
            other = exposure(facts, Accel.KVM, mode)  # type: ignore[arg-type]
            assert other.state is ExposureState.UNKNOWN
    tcg = exposure(facts, Accel.TCG, TimerMode.ONE_SHOT)  # type: ignore[arg-type]
    assert tcg.state is ExposureState.NOT_EXPOSED


@pytest.mark.parametrize(
    ("cpu", "state", "words"),
    [
        ("qemu64", ExposureState.EXPOSED, ""),
        ("qemu64,hv-vapic=off,hv-synic=false,hv-time=no", ExposureState.EXPOSED, ""),
        ("qemu64,-x2apic,hv-vapic,hv_time", ExposureState.EXPOSED, "hv-vapic, hv-time"),
        ("qemu64,hv-vpindex,+hv-synic", ExposureState.UNKNOWN, "may inhibit APICv"),
        ("host,hv_passthrough", ExposureState.UNKNOWN, "hv-passthrough"),
    ],
)
def test_enlightenments_are_named(cpu: str, state: ExposureState, words: str) -> None:
    found = exposure(FACTS, Accel.KVM, TimerMode.ONE_SHOT, cpu=cpu)
    assert found.state is state
    assert words in found.why
    assert ("Hyper-V" in found.why) is bool(words)
    assert refine(found, read_apicv("")).state is state
    heard = "# events: kvm/kvm_apicv_accept_irq\n"
    posted = read_apicv(heard + "kvm_apicv_accept_irq: apicid 0 vec 64\n")
    assert refine(found, posted).state is ExposureState.EXPOSED
    accepted = read_apicv(heard + "kvm_apic_accept_irq: apicid 0 vec 64\n" * 3)
    assert refine(found, accepted).state is ExposureState.NOT_EXPOSED


def test_the_trace_corrects_the_parameter() -> None:
    heard = "# events: kvm/kvm_apic_accept_irq"
    accepted = f"{heard} kvm/kvm_apicv_accept_irq\n" + "kvm_apic_accept_irq: apicid 0 vec 64\n" * 3
    deaf = f"{heard}\n" + "kvm_apic_accept_irq: apicid 0 vec 64\n" * 3
    assert refine(EXPOSED, read_apicv(deaf)) == EXPOSED
    assert refine(EXPOSED, read_apicv(accepted)).state is ExposureState.NOT_EXPOSED
    posted = accepted + "kvm_apicv_accept_irq: apicid 0 vec 64\n"
    assert refine(EXPOSED, read_apicv(posted)).state is ExposureState.EXPOSED
    assert refine(EXPOSED, None) == EXPOSED
    assert refine(NOT_EXPOSED, read_apicv(posted)) == NOT_EXPOSED


def test_an_amd_host_is_immune_to_this_bug_alone() -> None:
    facts = host_with(kvm_amd={"avic": "Y"})
    for irqchip, words in (
        (IrqChip.ON, "shows only with irqchip=split"),
        (IrqChip.SPLIT, "which this irqchip=split can show"),
    ):
        found = exposure(facts, Accel.KVM, TimerMode.ONE_SHOT, irqchip)  # type: ignore[arg-type]
        assert found.state is ExposureState.NOT_EXPOSED
        assert "the APICv bug strikes kvm_intel only" in found.why
        assert "stale TPR with AVIC (fixed by d02e48830e3f)" in found.why
        assert found.why.endswith(words)


def test_a_timer_that_no_bug_is_known_of_leaves_the_answer_open() -> None:
    facts = host_with(kvm_intel={"enable_apicv": "Y"})
    found = exposure(facts, Accel.KVM, "hv-stimer")  # type: ignore[arg-type]
    assert found.state is ExposureState.UNKNOWN
    assert found.why.endswith("the bug is known of one-shot timers: nothing is known of hv-stimer")
    named = exposure(facts, Accel.KVM, "hv-stimer", cpu="qemu64,hv-time")  # type: ignore[arg-type]
    assert named.why == f"{found.why}; the CPU model has the Hyper-V enlightenments hv-time"
    host = exposure(facts, Accel.KVM, None)  # type: ignore[arg-type]
    assert host.state is ExposureState.EXPOSED


@pytest.mark.parametrize("state", list(SavedState))
def test_a_save_with_its_tick_pending_or_masked_can_not_show_the_bug(state: SavedState) -> None:
    facts = host_with(kvm_intel={"enable_apicv": "Y"})
    found = exposure(facts, Accel.KVM, "one-shot", state=state)  # type: ignore[arg-type]
    spared = state in (SavedState.PENDING, SavedState.MASKED)
    assert found.state is (ExposureState.NOT_EXPOSED if spared else ExposureState.EXPOSED)
    assert (f"with state={state} " in found.why) is spared
    other = exposure(facts, Accel.KVM, "periodic", state=state)  # type: ignore[arg-type]
    assert other.reason is Reason.OTHER_TIMER


@pytest.mark.parametrize("timer", ["pit", "rtc"])
def test_timers_behind_the_pic_are_spared_for_a_reason(timer: str) -> None:
    facts = host_with(kvm_intel={"enable_apicv": "Y"})
    found = exposure(facts, Accel.KVM, timer)  # type: ignore[arg-type]
    assert found.state is ExposureState.UNKNOWN
    assert "interrupts through the PIC" in found.why


def test_the_trace_tells_whether_an_enlightenment_inhibits_apicv() -> None:
    facts = host_with(kvm_intel={"enable_apicv": "Y"})
    mode, cpu = TimerMode.ONE_SHOT, "qemu64,hv-synic,hv-vpindex"
    unsure = exposure(facts, Accel.KVM, mode, cpu=cpu)  # type: ignore[arg-type]
    assert unsure.state is ExposureState.UNKNOWN
    heard = "# events: kvm/kvm_apic_accept_irq kvm/kvm_apicv_accept_irq\n"
    posted = read_apicv(heard + "kvm_apicv_accept_irq: apicid 0 vec 64\n")
    accepted = read_apicv(heard + "kvm_apic_accept_irq: apicid 0 vec 64\n" * 3)
    assert refine(unsure, posted).state is ExposureState.EXPOSED
    assert refine(unsure, accepted).state is ExposureState.NOT_EXPOSED
    assert refine(unsure, None) == unsure
