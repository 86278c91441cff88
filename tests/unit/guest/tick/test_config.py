from orchestrator.guest.apic import Apic
from orchestrator.guest.config import GuestConfig
from orchestrator.guest.saved_state import SavedState
from orchestrator.guest.tick.config import Fault, Switches, record
from orchestrator.guest.timer_mode import TimerMode
from orchestrator.guest.wait import Wait


def test_the_record_has_a_fixed_width() -> None:
    config = GuestConfig(
        TimerMode.TSC_DEADLINE,
        Apic.X2APIC,
        1_000_000,
        6,
        3,
        4,
        True,
        subject=3,
        wait=Wait.HALT,
        state=SavedState.TPR,
    )
    values = (2, 1, 1_000_000, 6, 3, 7, 9, 5, 4, 1, 3, 1, 4)
    assert record(config, Switches(Fault.MUTE, 9, 5)) == "LTK1" + "".join(
        f"{v:08x}" for v in values
    )
