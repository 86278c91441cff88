from dataclasses import replace

import pytest

from orchestrator.guest.config import GuestConfig
from orchestrator.guest.lapic import Lapic, Registers
from orchestrator.guest.saved_state import SavedState
from orchestrator.guest.state import GuestState, Stage
from orchestrator.guest.tick.config import TICK_VECTOR
from orchestrator.trial.look import reasons_against
from orchestrator.vm.config import Accel, InstanceConfig
from tests.support.guest_states import ticking

CONFIG = InstanceConfig(Accel.KVM)


ARMED = Lapic(lvtt=TICK_VECTOR, tmict=1000, irr=frozenset(), isr=frozenset())


RUNNING = Registers(ip=0x34, flags=0x202, halted=False)


def test_an_eligible_save() -> None:
    assert reasons_against(ticking(), ARMED, RUNNING, CONFIG, 0.5) == ()


def test_the_phase_that_was_asked_for_is_the_one_that_counts() -> None:
    def reasons(phase: float) -> tuple[str, ...]:
        return reasons_against(ticking(), ARMED, RUNNING, CONFIG, phase, (0.8, 1.0))

    assert reasons(0.9) == ()
    assert reasons(0.5) == ("off phase",)


OFF = Registers(ip=0x34, flags=0x2, halted=False)

IN_STATE = {
    SavedState.PENDING: (Lapic(64, 9, frozenset({64}), frozenset()), OFF, 1.35),
    SavedState.IN_SERVICE: (Lapic(64, 9, frozenset(), frozenset({64})), RUNNING, 0.5),
    SavedState.MASKED: (Lapic(0x10040, 9, frozenset(), frozenset()), RUNNING, 0.5),
    SavedState.TPR: (Lapic(64, 9, frozenset(), frozenset(), tpr=0x50), RUNNING, 0.5),
}

MISSING = {
    SavedState.PENDING: ("not interrupts off", "not pending"),
    SavedState.IN_SERVICE: ("not in service",),
    SavedState.MASKED: ("not masked",),
    SavedState.TPR: ("not held back",),
}


@pytest.mark.parametrize("state", IN_STATE)
def test_a_save_must_be_in_the_state_that_was_asked_for(state: SavedState) -> None:
    lapic, registers, phase = IN_STATE[state]
    config = replace(CONFIG, guest=GuestConfig(state=state))
    assert reasons_against(ticking(), lapic, registers, config, phase) == ()
    assert reasons_against(ticking(), ARMED, RUNNING, config, phase) == MISSING[state]
    for other, (wrong_lapic, wrong_registers, _) in IN_STATE.items():
        if other is not state:
            assert reasons_against(ticking(), wrong_lapic, wrong_registers, config, phase)
    # None of this is evidence for a guest that is saved while its timer is armed.
    assert reasons_against(ticking(), lapic, registers, CONFIG, 0.5)


def test_a_tick_may_wait_behind_a_raised_tpr() -> None:
    config = replace(CONFIG, guest=GuestConfig(state=SavedState.TPR))
    waiting = Lapic(64, 9, frozenset({64}), frozenset(), tpr=0x50)
    assert reasons_against(ticking(), waiting, RUNNING, config, 0.5) == ()


@pytest.mark.parametrize(
    ("state", "lapic", "registers", "phase", "reason"),
    [
        (ticking(printing=True), ARMED, RUNNING, 0.5, "printing"),
        (ticking(printed=8), ARMED, RUNNING, 0.5, "printing"),
        (ticking(arms=9), ARMED, RUNNING, 0.5, "not armed"),
        (ticking(), Lapic(64, 0, frozenset(), frozenset()), RUNNING, 0.5, "not armed"),
        (ticking(), Lapic(0x10040, 9, frozenset(), frozenset()), RUNNING, 0.5, "masked"),
        (ticking(), Lapic(65, 9, frozenset(), frozenset()), RUNNING, 0.5, "masked"),
        (ticking(), Lapic(64, 9, frozenset({64}), frozenset()), RUNNING, 0.5, "pending"),
        (ticking(), Lapic(64, 9, frozenset(), frozenset({64})), RUNNING, 0.5, "in service"),
        (ticking(), ARMED, Registers(1, 0x2, False), 0.5, "interrupts off"),
        (ticking(), ARMED, RUNNING, 0.9, "off phase"),
        (ticking(stage=Stage.CONTROL_WINDOW), ARMED, RUNNING, 0.5, "not ticking"),
    ],
)
def test_what_makes_a_save_no_evidence(
    state: GuestState, lapic: Lapic, registers: Registers, phase: float, reason: str
) -> None:
    assert reasons_against(state, lapic, registers, CONFIG, phase) == (reason,)
