import pytest

from orchestrator.guest.config import GuestConfig
from orchestrator.guest.tick.guest import TickFirmware


def consoles(config: GuestConfig) -> list[str]:
    """Return the consoles among the arguments: `uart N`, or `PORT N` of a debug port."""
    found = []
    for argument in TickFirmware().qemu_args(config):
        if argument.startswith("chardev:"):
            found.append("uart " + argument.removeprefix("chardev:console"))
        elif argument.startswith("isa-debugcon"):
            port, chardev = argument.removeprefix("isa-debugcon,iobase=").split(",")
            found.append(f"{port} {chardev.removeprefix('chardev=console')}")
    return found


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (GuestConfig(), ["uart 0"]),
        (GuestConfig(vcpus=3), ["uart 0", "0xe901 1", "0xe902 2"]),
        (GuestConfig(vcpus=3, shared_port=True), ["uart 0"]),
        (GuestConfig(debug_port=True), ["0xe900 0"]),
        (GuestConfig(vcpus=2, debug_port=True), ["0xe900 0", "0xe901 1"]),
        (GuestConfig(vcpus=2, shared_port=True, debug_port=True), ["0xe900 0"]),
    ],
)
def test_consoles(config: GuestConfig, expected: list[str]) -> None:
    assert consoles(config) == expected
    assert TickFirmware().consoles(config) == len(expected)
