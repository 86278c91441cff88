import pytest

from orchestrator.guest.config import GuestConfig
from orchestrator.guest.lapic import Registers
from orchestrator.guest.linux.guest import LinuxGuest
from orchestrator.guest.wait import Wait

USER, KERNEL = Registers(0, 0x202, False, cpl=3), Registers(0, 0x202, False, cpl=0)
HALTED = Registers(0, 0x202, True, cpl=0)


@pytest.mark.parametrize(
    ("registers", "config", "expected"),
    [
        (USER, GuestConfig(), ()),
        (KERNEL, GuestConfig(), ("in the kernel",)),
        (HALTED, GuestConfig(), ("in the kernel",)),
        (HALTED, GuestConfig(wait=Wait.HALT), ()),
        (KERNEL, GuestConfig(wait=Wait.HALT), ("awake",)),
        (USER, GuestConfig(wait=Wait.HALT), ("awake",)),
        (USER, GuestConfig(wait=Wait.HALT, control_tick=6), ()),
    ],
)
def test_a_save_is_taken_where_the_guest_waits(
    registers: Registers, config: GuestConfig, expected: tuple[str, ...]
) -> None:
    assert LinuxGuest().reasons_against(registers, config) == expected


@pytest.mark.parametrize(
    ("wanted_ms", "expected_ms"), [(1, 20), (5, 20), (20, 20), (21, 40), (50, 60), (100, 100)]
)
def test_every_kernels_tick_divides_the_period(wanted_ms: int, expected_ms: int) -> None:
    """HZ is 100, 250, 300 or 1000."""
    period_ns = LinuxGuest().nearest_period_ns(wanted_ms * 1_000_000)
    assert period_ns == expected_ms * 1_000_000
    for hz in (100, 250, 300, 1000):
        assert period_ns * hz % 10**9 == 0


@pytest.mark.parametrize(
    ("config", "ports"),
    [
        (GuestConfig(), ["0xe900"]),
        (GuestConfig(vcpus=3), ["0xe900", "0xe901", "0xe902"]),
        (GuestConfig(vcpus=3, shared_port=True), ["0xe900"]),
    ],
)
def test_consoles(config: GuestConfig, ports: list[str]) -> None:
    guest = LinuxGuest()
    found = [each for each in guest.qemu_args(config) if each.startswith("isa-debugcon")]
    assert found == [
        f"isa-debugcon,iobase={port},chardev=console{number}" for number, port in enumerate(ports)
    ]
    assert guest.consoles(config) == len(ports)
