"""Kernel trees as a user has built them, in small: what losttick looks at, and nothing else."""

import struct
from collections.abc import Mapping
from pathlib import Path

from orchestrator.lab.kernel.options import BUILT_IN, LEAST_PORTS, PORTS

RELEASE = "9.9.0-own"

#: The modules of a tree, and what they need.
NEEDS = {
    "virt/lib/irqbypass.ko": "",
    "arch/x86/kvm/kvm.ko": "irqbypass",
    "arch/x86/kvm/kvm-intel.ko": "kvm",
}

#: A configuration with KVM in modules.
CONFIG = {
    **{option.name: "y" for option in BUILT_IN},
    PORTS.name: str(LEAST_PORTS),
    "CONFIG_MODULES": "y",
    "CONFIG_IRQ_BYPASS_MANAGER": "m",
    "CONFIG_KVM": "m",
    "CONFIG_KVM_INTEL": "m",
}

#: The change that makes KVM a part of the image.
BUILT_IN_KVM = {
    "CONFIG_IRQ_BYPASS_MANAGER": "y",
    "CONFIG_KVM": "y",
    "CONFIG_KVM_INTEL": "y",
}


def bzimage(release: str, more: str = "") -> bytes:
    """Return the head of a bzImage (Linux: Documentation/arch/x86/boot.rst)."""
    head = bytearray(0x400)
    head[0x202:0x206] = b"HdrS"
    head[0x20E:0x210] = struct.pack("<H", 0x100)
    return bytes(head[:0x300]) + f"{release} (me@here) #1 SMP {more}\0".encode()


def module(release: str, depends: str = "") -> bytes:
    """Return a module's description."""
    return f"\x7fELF\0license=GPL\0depends={depends}\0vermagic={release} SMP preempt \0".encode()


def tree(
    place: Path,
    *,
    config: Mapping[str, str | None] | None = None,
    release: str = RELEASE,
    modules: Mapping[str, bytes | None] | None = None,
    built: str = "",
) -> Path:
    """Make a tree.

    Args:
        place: its folder.
        config: changes of `CONFIG`; None unsets an option.
        release: the release of the image, and of the modules.
        modules: other contents of modules; None removes one.
        built: differs between two builds of one release.
    """
    options = {k: v for k, v in {**CONFIG, **(config or {})}.items() if v is not None}
    lines = "".join(f"{name}={value}\n" for name, value in options.items())
    written = f"#\n# Automatically generated file; DO NOT EDIT.\n#\n{lines}"
    files: dict[str, bytes | None] = {
        "arch/x86/boot/bzImage": bzimage(release, built),
        "include/config/auto.conf": written.encode(),
        **{path: module(release, needs) for path, needs in NEEDS.items()},
        **(modules or {}),
    }
    for path, content in files.items():
        if content is not None:
            (place / path).parent.mkdir(parents=True, exist_ok=True)
            (place / path).write_bytes(content)
    return place
