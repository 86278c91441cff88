from orchestrator.guest.apic import Apic
from orchestrator.guest.tick.config import Fault, GuestConfig
from orchestrator.guest.timer_mode import TimerMode


def test_the_record_has_a_fixed_width() -> None:
    record = GuestConfig(
        TimerMode.TSC_DEADLINE, Apic.X2APIC, 1_000_000, 6, 3, Fault.MUTE, 9, 5, 4, True, 3
    ).record()
    values = (2, 1, 1_000_000, 6, 3, 7, 9, 5, 4, 1, 3)
    assert record == "LTK1" + "".join(f"{v:08x}" for v in values)
