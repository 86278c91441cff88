import pytest

from orchestrator.guest.config import GuestConfig
from orchestrator.guest.linux.config import command_line
from orchestrator.guest.tick.config import Fault, Switches, record
from orchestrator.guest.timer_mode import TimerMode
from orchestrator.guest.wait import Wait


def options(config: GuestConfig) -> list[str]:
    return command_line(config, Switches()).split()


def test_the_record_is_the_firmwares() -> None:
    config, switches = GuestConfig(vcpus=2, subject=1), Switches(Fault.TIMER_STOPPED, 9)
    last = command_line(config, switches).split()[-1]
    assert last == f"losttick={record(config, switches)}"


@pytest.mark.parametrize(
    ("mode", "has", "lacks"),
    [
        (TimerMode.ONE_SHOT, {"lapic=notscdeadline"}, {"highres=off"}),
        (TimerMode.PERIODIC, {"lapic=notscdeadline", "highres=off"}, set()),
        (TimerMode.TSC_DEADLINE, set(), {"lapic=notscdeadline", "highres=off"}),
    ],
)
def test_the_kernel_is_told_its_timer(mode: str, has: set[str], lacks: set[str]) -> None:
    told = set(options(GuestConfig(mode=mode)))
    assert has <= told
    assert not lacks & told


def test_a_timer_that_linux_does_not_tick_by_is_an_error() -> None:
    with pytest.raises(ValueError, match="does not tick by rtc"):
        options(GuestConfig(mode=TimerMode.RTC))


@pytest.mark.parametrize(
    ("wait", "control", "expected"),
    [(Wait.BUSY, 0, "nohz=off"), (Wait.HALT, 0, "nohz=on"), (Wait.HALT, 6, "nohz=off")],
)
def test_only_an_idle_guest_halts_without_a_tick(wait: Wait, control: int, expected: str) -> None:
    """A guest that went idle after its control would arm the timer anew, and cure the loss."""
    assert expected in options(GuestConfig(wait=wait, control_tick=control))


@pytest.mark.parametrize(("slow", "expected"), [(False, "loglevel=4"), (True, "loglevel=0")])
def test_a_slow_port_gets_no_log(slow: bool, expected: str) -> None:
    assert expected in options(GuestConfig(debug_port=slow))
