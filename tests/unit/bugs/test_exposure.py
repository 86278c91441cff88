import pytest

from orchestrator.bugs.exposure import ExposureState, exposure, read_apicv, refine
from orchestrator.guest.timer_mode import TimerMode
from orchestrator.testing import FACTS
from orchestrator.vm.config import Accel
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
