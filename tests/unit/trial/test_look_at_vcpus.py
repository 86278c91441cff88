from dataclasses import replace

import pytest

from orchestrator.findings.save import Save, VcpuSave
from orchestrator.guest.lapic import Lapic, Registers
from orchestrator.guest.state import GuestState, Stage
from orchestrator.trial.look import ANY_PHASE, describe
from orchestrator.vm.config import Accel, InstanceConfig


def state(**fields: object) -> GuestState:
    usual = GuestState(False, 7, 8, 500, 7, Stage.TICKING, 0)
    return replace(usual, **fields)


LAPIC = Lapic(0x40, 1_000_000, frozenset(), frozenset())


RUNNING = Registers(0x34, 0x246, halted=False)


def saved(vcpu: int, lapic: Lapic = LAPIC, **fields: object) -> VcpuSave:
    return describe(
        (state(**fields), lapic, RUNNING), 1000.0, InstanceConfig(Accel.KVM),
        within=(0.35, 0.65) if vcpu == 0 else ANY_PHASE, vcpu=vcpu,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        ({}, None),
        ({"progress": 990}, None),  # its phase was not chosen
        ({"progress": 1600}, "off phase on vCPU 1"),  # its tick is overdue: it may be dead already
        ({"printing": True}, "printing on vCPU 1"),
        ({"arms": 7}, "not armed on vCPU 1"),
    ],
)
def test_a_save_is_eligible_if_every_vcpu_is(second: dict[str, object], reason: str | None) -> None:
    save = Save("s", 0.5, (saved(0), saved(1, **second)))
    assert save.ineligible == ((reason,) if reason else ())
    assert save.eligible is (reason is None)


def test_a_pending_interrupt_on_another_vcpu_counts() -> None:
    pending = replace(LAPIC, irr=frozenset({0x40}))
    save = Save("s", 0.5, (saved(0), saved(1), saved(2, pending)))
    assert save.ineligible == ("pending on vCPU 2",)
