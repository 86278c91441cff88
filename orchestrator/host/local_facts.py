"""Reads the facts of this computer from /proc and /sys."""

import errno
import os
import platform
from collections.abc import Mapping
from pathlib import Path

from orchestrator.host.facts import HostFacts, QemuFacts
from orchestrator.host.kvm_access import ABSENT, USABLE

#: Modules whose parameters are facts: `kvm` and its back ends.
KVM_MODULES = ("kvm", "kvm_intel", "kvm_amd", "kvm_pvm")

#: Without its module, the device node is missing, or leads nowhere.
_NO_DEVICE = (errno.ENOENT, errno.ENODEV, errno.ENXIO)

_CPUINFO = "/proc/cpuinfo"

#: Names the kernel's present clock source.
CLOCKSOURCE = "/sys/devices/system/clocksource/clocksource0/current_clocksource"


def read_facts(
    qemu: QemuFacts | None, tracefs: Path | None, qemu_user: str | None = None
) -> HostFacts:
    """Return the facts. A fact that can't be read is None or empty, never guessed."""
    cpu = cpuinfo(_read(_CPUINFO) or "")
    uname = platform.uname()
    return HostFacts(
        kernel=uname.release,
        kernel_build=uname.version,
        cpu=_model(cpu),
        vendor=cpu.get("vendor_id", "unknown"),
        family_model_stepping="/".join(
            cpu.get(name, "?") for name in ("cpu family", "model", "stepping")
        ),
        microcode=cpu.get("microcode"),
        cpus=os.cpu_count() or 1,
        vmx_flags=tuple(cpu.get("vmx flags", "").split()),
        kvm_modules=kvm_modules(Path("/sys/module")),
        kvm_device=kvm_device(),
        tracefs=str(tracefs) if tracefs else None,
        hypervisor="hypervisor" in cpu.get("flags", "").split(),
        qemu=qemu,
        clocksource=clocksource(),
        qemu_user=qemu_user,
    )


def cpu_here() -> str:
    """Return the `cpu` of the facts of this computer."""
    return _model(cpuinfo(_read(_CPUINFO) or ""))


def _model(cpu: Mapping[str, str]) -> str:
    return cpu.get("model name", "unknown")


def cpuinfo(text: str) -> dict[str, str]:
    """Return the fields of the first processor in /proc/cpuinfo."""
    fields = {}
    for line in text.split("\n\n")[0].splitlines():
        name, _, value = line.partition(":")
        fields[name.strip()] = value.strip()
    return fields


def kvm_modules(sys_module: Path) -> dict[str, dict[str, str]]:
    """Return the loaded KVM modules and their readable parameters."""
    return {
        name: {
            parameter.name: value.strip()
            for parameter in sorted((sys_module / name / "parameters").glob("*"))
            if (value := _read(str(parameter))) is not None
        }
        for name in KVM_MODULES
        if (sys_module / name).is_dir()
    }


def kvm_device(path: str = "/dev/kvm") -> str:
    """Return `usable`, `absent`, or why /dev/kvm can't be opened."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        if error.errno in _NO_DEVICE:
            return ABSENT
        return (error.strerror or str(error)).lower()
    return USABLE


def clocksource(path: str = CLOCKSOURCE) -> str | None:
    """Return the kernel's present clock source."""
    return (_read(path) or "").strip() or None


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return None
