"""Machine types: the one that a name means to a QEMU."""

import re
from dataclasses import replace

from orchestrator.errors import Lack, UnfitError
from orchestrator.host.facts import QemuFacts
from orchestrator.host.pair import PairedHost
from orchestrator.host.protocol import Host

_VERSION = r"(\d+)\.(\d+)"

#: Such as `pc-i440fx-oldest` and `pc-i440fx-2.12-or-later`.
_OLDEST = re.compile(rf"(?P<family>.+?)(?:-oldest|-{_VERSION}-or-later)")


class MachineMissingError(UnfitError):
    """The QEMU has no such machine type."""

    lacks = Lack.MACHINE

    def __init__(self, wanted: str, qemu: QemuFacts, known: list[str]) -> None:
        has = f"It has {known[0]} to {known[-1]}." if known else "It has none of that name."
        super().__init__(f"QEMU {qemu.version} has no machine type {wanted}. {has}")


def machine_of(machine: str, qemu: QemuFacts) -> str:
    """Return the machine type and options that a plan's value means to a QEMU.

    `FAMILY-oldest` is the oldest version of a family that the QEMU has, and
    `FAMILY-X.Y-or-later` the oldest that is not older than X.Y. Other values mean themselves.

    Raises:
        MachineMissingError: the QEMU has no version that is meant.
    """
    name, comma, options = machine.partition(",")
    meant = _OLDEST.fullmatch(name)
    if meant is None:
        return machine
    family, *least = meant.groups()
    versions = sorted(
        (int(found[1]), int(found[2]))
        for each in qemu.machines
        if (found := re.fullmatch(rf"{re.escape(family)}-{_VERSION}", each))
    )
    bound = (int(least[0]), int(least[1])) if least[0] else (0, 0)
    for version in versions:
        if version >= bound:
            return f"{family}-{version[0]}.{version[1]}{comma}{options}"
    raise MachineMissingError(name, qemu, [f"{family}-{a}.{b}" for a, b in versions])


def versioned(machine: str, saver: QemuFacts, loader: QemuFacts) -> str:
    """Return the machine with its version, as `pc-i440fx-7.2` for `pc`.

    A state can be loaded only into the version of the machine in which it was saved. Where a
    value leaves the version open, it means the machine types that both QEMUs have.

    Raises:
        MachineMissingError: the QEMUs have no version that is meant.
    """
    both = tuple(each for each in saver.machines if each in loader.machines)
    name, comma, options = machine_of(machine, replace(saver, machines=both)).partition(",")
    return f"{saver.machine_aliases.get(name, name)}{comma}{options}"


def machine_on(host: Host, machine: str) -> str:
    """Return the machine type and options that a plan's value means on a host.

    Raises:
        MachineMissingError: the host's QEMU has no version that is meant.
    """
    qemu = host.facts.need_qemu()
    if isinstance(host, PairedHost):
        return versioned(machine, qemu, host.loader.facts.need_qemu())
    return machine_of(machine, qemu)


def require_machine(machine: str, qemu: QemuFacts) -> None:
    """Check that a QEMU has a versioned machine type.

    Raises:
        MachineMissingError: the QEMU does not have it.
    """
    name = machine.partition(",")[0]
    if name not in qemu.machines:
        family = name.rpartition("-")[0]
        known = [each for each in qemu.machines if each.startswith(f"{family}-")]
        raise MachineMissingError(name, qemu, sorted(known, key=_by_version))


def _by_version(machine: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", machine))
